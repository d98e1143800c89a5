"""GACD's gradients part by part, its constant, weights, state and notes: the traps of the method."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from gacd_batch import N, make
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Losses, Output
from robustfeat.objectives import GACD, Views
from robustfeat.objectives.critic import Critic


def gradient(objective: GACD, loss: Tensor, views: Views) -> float:
    weights = [p for n, p in views.student.named_parameters() if "fc" not in n]
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return sum(float(g.abs().sum()) for g in found if g is not None)


@pytest.mark.parametrize("part", ["positive", "live negatives", "symmetric", "alignment", "guide"])
def test_every_part_by_itself_trains_the_student(part: str) -> None:
    """Trap 1: against a detached bank the teacher-as-anchor half has no gradient at all."""
    objective, views = make(GACD(view="clean"))
    targets, moved = views.teacher_clean.features, views.student_clean.features
    objective.targets(targets)
    scores = F.normalize(targets, dim=1) @ F.normalize(moved, dim=1).T / objective.tau
    itself = torch.eye(N, dtype=torch.bool)
    loss = {
        "positive": lambda: objective.critic(torch.where(itself, scores, scores.detach()))[0],
        "live negatives": lambda: objective.critic(torch.where(itself, scores.detach(), scores))[0],
        "symmetric": lambda: objective.critic(scores.T)[0],
        "alignment": lambda: objective.alignment(targets, moved),
        "guide": lambda: objective.through_head(moved, views),
    }[part]()
    assert gradient(objective, loss.sum(), views) > 1e-4


def test_stored_negatives_alone_train_nothing() -> None:
    objective, views = make(GACD(view="clean", bank=4))
    anchors = F.normalize(views.teacher_clean.features, dim=1)
    stored = objective._stored("student_bank", anchors, views)
    assert stored is not None
    assert not stored.requires_grad


@pytest.mark.parametrize(("agreement", "value"), [(0.0, 11.50), (0.095, 10.14)])
def test_the_usable_form_starts_near_log_cn_plus_one(agreement: float, value: float) -> None:
    """Trap 2, M = 50,000, N = 16,384, d = 128, tau = 0.07, random unit vectors.

    Positives cost log(cN) less their mean t.s / tau, the negatives 1: 11.50 with c = 2.22 where the positives know nothing of
    their anchors, 10.14 where their mean cosine is 0.095. The paper form, with N / M in place of c N, costs tens of thousands.
    """
    m, n, d, tau, batch = 50_000, 16_384, 128, 0.07, 64
    random = generator(0)
    bank = F.normalize(torch.randn(m, d, generator=random), dim=1)
    t, noise = (F.normalize(torch.randn(batch, d, generator=random), dim=1) for _ in range(2))
    noise = F.normalize(noise - (noise * t).sum(1, keepdim=True) * t, dim=1)
    s = agreement * t + math.sqrt(1 - agreement**2) * noise
    stored = (t @ bank.T).gather(1, torch.randint(m, (batch, n), generator=random))
    critic = Critic()
    # Only the positive and the stored negatives, as in CRD: live negatives are moved out of reach.
    positive = (t * s).sum(1)
    scores = torch.full((batch, batch), -10.0).masked_fill(torch.eye(batch, dtype=torch.bool), 0) + positive.diag()
    loss, _ = critic(scores / tau, stored / tau)
    c = float(critic.c)
    assert c == pytest.approx(math.exp(1 / (2 * d * tau**2)), rel=0.02)
    # The literal code of CRD: x = exp(t.s/tau) / Z, Z = mean * M, with positives x / (x + N/M).
    x, x_positive = (stored / tau).exp() / (c * m), (positive / tau).exp() / (c * m)
    literal = -torch.log(x_positive / (x_positive + n / m)) - torch.log((n / m) / (x + n / m)).sum(1)
    torch.testing.assert_close(loss, literal, atol=0.02, rtol=0)
    assert float(loss.mean()) == pytest.approx(value, abs=0.05)
    e, e_positive = (stored / tau).exp(), (positive / tau).exp()
    paper = -torch.log(e_positive / (e_positive + n / m)) - torch.log((n / m) / (e + n / m)).sum(1)
    assert 20_000 < float(paper.mean()) < 30_000


def test_the_constant_is_that_of_the_first_training_batch() -> None:
    objective, views = make(GACD(inner_loss="objective"))
    attack = objective.inner(views)
    assert attack is not None
    assert torch.isfinite(attack(views.clean)).all()
    assert float(objective.critic.c) == 0, "an attack decided it"
    objective(views)
    t, s = (F.normalize(x.detach(), dim=1) for x in (views.teacher_clean.features, views.student_attacked.features))
    first = (t @ s.T / objective.tau).exp().mean()
    torch.testing.assert_close(objective.critic.c, first)
    objective.critic(torch.ones(N, N))
    torch.testing.assert_close(objective.critic.c, first)


def test_weights() -> None:
    for weight in ("none", "teacher_correct", "teacher_probability"):
        objective, views = make(GACD(weight=weight, beta=0.5))
        w = objective.rightness(views)
        probability = views.teacher_clean.logits.softmax(1)
        right = torch.stack([probability[i, views.labels[i]] for i in range(N)])
        expected = {"none": torch.ones(N), "teacher_correct": (probability.argmax(1) == views.labels).float()}
        torch.testing.assert_close(w, expected.get(weight, right**0.5))
        assert not w.requires_grad
    objective, views = make(GACD(inner_loss="cosine"), labels=False)
    torch.testing.assert_close(objective.rightness(views), views.teacher_clean.logits.softmax(1).amax(1))


def test_entropy_is_0_for_a_sure_teacher_and_1_for_one_that_knows_nothing() -> None:
    objective, views = make(GACD(weight="entropy", weight_on="attacked"), labels=False)
    logits = torch.zeros(N, 4)
    logits[0, 2], logits[1, :2] = 200.0, 200.0
    views.teacher_attacked = Output(views.teacher_clean.features, logits)
    expected = torch.tensor([0.0, 0.5, *[1.0] * (N - 2)])  # of four classes: one, two alike, all alike
    torch.testing.assert_close(objective.rightness(views), expected)


def test_a_sample_without_weight_has_no_influence() -> None:
    objective, views = make(GACD(weight="teacher_correct", view="clean", align=0))
    wrong = (objective.rightness(views) == 0).nonzero().flatten()
    assert 0 < len(wrong) < N
    t, s = (F.normalize(x, dim=1) for x in (views.teacher_clean.features, views.student_clean.features))
    scores = t @ s.T / objective.tau
    loss, _ = objective.critic(scores)
    kept = [i for i in range(N) if i not in wrong.tolist()]
    assert float(objective(views).terms["gacd"]) == pytest.approx(float(loss[kept].mean()), rel=1e-5)


def test_state_is_complete() -> None:
    """Trap 4: a restored objective continues with the same bank and c."""
    one, views = make(GACD(view="clean", bank=4, symmetric=True))
    one.train()
    one(views)
    one.after_step()
    two, _ = make(GACD(view="clean", bank=4, symmetric=True))
    two.load_state_dict(one.state_dict())
    assert float(two.critic.c) > 0
    losses: list[Losses] = []
    for objective in (one, two):
        fresh = Views(views.student, views.teacher, views.batch, generator(9))
        losses.append(objective(fresh))
        objective.after_step()
    assert torch.equal(losses[0].terms["gacd"], losses[1].terms["gacd"])
    assert torch.equal(one.student_bank.vectors, two.student_bank.vectors)


def test_mutual_information_bound() -> None:
    objective, views = make(GACD(view="clean"))
    notes = objective(views).notes
    assert float(notes["mutual_information"]) < math.log(N - 1)
    assert notes["weight"].shape == (N,)


def test_a_teacher_that_is_always_right_is_said(caplog: pytest.LogCaptureFixture) -> None:
    objective, views = make(GACD(view="clean"))
    with torch.no_grad():
        views.teacher.head.weight.mul_(0)
    views.batch.labels[:] = 0  # type: ignore[index]
    with torch.no_grad():
        views.teacher.head.bias.copy_(torch.tensor([50.0, 0, 0, 0]))
    objective.train()
    with caplog.at_level(logging.WARNING):
        objective(views)
    assert "no-op" in caplog.text
