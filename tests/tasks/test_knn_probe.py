"""Voting neighbours against scikit-learn and a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch.nn import functional as F

from robustfeat.attacks import Fast, Goal, Standard, Worst
from robustfeat.numerics.random import generator
from robustfeat.tasks import KNNProbe
from robustfeat.tasks.names import named


def data(n: int, seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    labels = torch.arange(n) % classes
    centres = torch.randn(classes, 8, generator=generator(60))
    return centres[labels] + 1.2 * torch.randn(n, 8, generator=generator(61, seed)), labels


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.5), (500, 0.1)])
def test_as_scikit_learn(k: int, temperature: float) -> None:
    learnt, labels = data(120, 0)
    tested, targets = data(80, 1)
    referee = KNeighborsClassifier(
        min(k, 120), metric="cosine", algorithm="brute", weights=lambda distances: np.exp((1 - distances) / temperature)
    ).fit(learnt.double().numpy(), labels.numpy())
    expected = referee.score(tested.double().numpy(), targets.numpy())
    probe = KNNProbe(k, temperature).fit(learnt, labels)
    assert 0.3 < expected < 1
    assert probe.score(tested, targets)["accuracy"] == pytest.approx(expected, abs=1e-9)
    wrong = referee.predict(tested.double().numpy()) != targets.numpy()
    assert ((probe.loss(tested, targets) > 0).numpy() == wrong).all(), "the loss must be positive exactly for errors"


def test_the_loss_is_the_margin_of_log_votes() -> None:
    learnt, labels = data(60, 2)
    tested, targets = data(30, 3)
    values = KNNProbe(7, 0.2).fit(learnt, labels).loss(tested, targets)
    plain = 0
    for x, target, value in zip(F.normalize(tested, dim=1), targets.tolist(), values.tolist(), strict=True):
        cosines = (F.normalize(learnt, dim=1) @ x).tolist()
        votes = [0.0] * 4
        for j in sorted(range(60), key=lambda i: -cosines[i])[:7]:
            votes[int(labels[j])] += math.exp(cosines[j] / 0.2)
        wrong = max(vote for c, vote in enumerate(votes) if c != target)
        reach = 2 / 0.2 + math.log(7)
        if wrong == 0:
            assert value < -reach
        elif votes[target] == 0:
            assert value > reach
        else:
            assert value == pytest.approx(math.log(wrong) - math.log(votes[target]), abs=1e-4)
            plain += 1
    assert 0 < plain < 30, "both kinds of case must occur"


def test_neighbours_that_agree_leave_a_gradient() -> None:
    learnt, labels = torch.eye(4).repeat(10, 1) + 0.01, torch.arange(4).repeat(10)
    x = (torch.eye(4) + 0.1).requires_grad_()
    loss = KNNProbe(5).fit(learnt, labels).loss(x, torch.arange(4))
    assert (loss < 0).all()
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    assert (gradient.norm(dim=1) > 0.1).all()


def test_an_approximate_index_is_measured_as_it_is() -> None:
    learnt, labels = data(300, 4)
    tested, targets = data(100, 5)
    probe = named("knn-probe:IVF16,Flat")
    assert probe.title == "knn-probe:IVF16,Flat"
    exact, deployed = KNNProbe().fit(learnt, labels), probe.fit(learnt, labels)
    assert exact.score(tested, targets) != deployed.score(tested, targets)
    assert not deployed.aims()[""].wins, "an index may still find what the exact twin has lost"


def test_bad_input() -> None:
    features, labels = data(10, 6)
    for arguments, message in (((0,), "k must be at least 1, got 0"), ((5, 0.0), "temperature must be greater than 0")):
        with pytest.raises(ValueError, match=message):
            KNNProbe(*arguments)
    with pytest.raises(RuntimeError, match="call fit first"):
        KNNProbe().score(features, labels)
    with pytest.raises(ValueError, match="at least two classes"):
        KNNProbe().fit(features, torch.zeros(10).long())
    probe = KNNProbe().fit(features, labels)
    with pytest.raises(ValueError, match="width 5, the task was fitted on width 8"):
        probe.loss(torch.randn(2, 5, generator=generator(0)), labels[:2])
    with pytest.raises(ValueError, match="target 9 is not among the 4 classes"):
        probe.score(features[:1], torch.tensor([9]))
    with pytest.raises(ValueError, match="NaN"):
        probe.score(torch.full((1, 8), torch.nan), labels[:1])


def test_the_final_budget_goes_towards_each_wrong_class() -> None:
    """The largest wide vote is not the decision, so that AutoAttack, which takes it for one, must not be run."""
    learnt, labels = data(60, 7)
    probe = KNNProbe(5).fit(learnt, labels)
    aim = probe.aims()[""]
    assert not aim.classifier
    goal = Goal(lambda x: x, aim.losses, probe.asked(learnt[:4], labels[:4]), wins=True, evidence=probe.evidence)
    for budget in (Fast(), Standard()):
        plan = budget.plan(goal)
        assert isinstance(plan, Worst)
        assert [getattr(attack, "climb", "") for attack in plan.attacks][:2] == ["ce", "dlr-*"]


def test_far_classes_keep_a_gradient_at_a_low_temperature() -> None:
    learnt, labels = data(60, 8)
    x = learnt[:20].clone().requires_grad_()
    probe = KNNProbe(5, 0.003).fit(learnt, labels)
    loss = probe.aims()[""].losses["ce"](probe.evidence(x), probe.asked(learnt[:20], labels[:20]))
    wide = probe.logits(x)
    assert (wide > -1e5).all(), "no class is without votes"
    (gradient,) = torch.autograd.grad(loss.sum() + wide.sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.norm(dim=1) > 0).all()
