"""FGSM-PGI: the guided step and its loss one number at a time, and the memory of perturbations."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from plain_losses import mean, softmax
from run_state import assert_same
from short_runs import RECIPE, Killed, stop_after
from torch import Tensor

from robustfeat.attacks import Threat
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch
from robustfeat.objectives import FGSMPGI, Spaces, Views
from robustfeat.objectives.fgsm_pgi import GuidedSignStep
from robustfeat.testing import small_network
from robustfeat.training.distiller import Distiller
from robustfeat.training.loop import train

N, K, M, EPS = 4, 4, 9, 8 / 255
ROWS = torch.tensor([7, 2, 0, 5])


def made(**options: float) -> tuple[FGSMPGI, Views]:
    """An objective that is set up, and a batch of four of its nine images."""
    objective = FGSMPGI(**options)
    student = small_network(0).eval()
    objective.setup(Spaces(student.feature_dim, K, M, image_size=8), generator(5))
    with torch.no_grad():
        student.head.weight.mul_(50)  # an untrained head says nearly the same of every image
    images = torch.rand(N, 3, 8, 8, generator=generator(6))
    images[0, 0, 0], images[0, 1, 0] = 0.0, 1.0  # the border of what is an image
    return objective, Views(student, None, Batch(images, torch.arange(N) % K, ROWS), generator(7))


def attacked(objective: FGSMPGI, views: Views) -> GuidedSignStep:
    loss = objective.inner(views)
    step = objective.attack(Threat("linf", Eps(EPS)), 10, None)
    assert loss is not None
    assert isinstance(step, GuidedSignStep)
    views.attack, views.attacked = step, step(loss, views.clean, generator=generator(8))
    return step


def numbers(values: Tensor) -> list[float]:
    return values.flatten().tolist()


def test_the_step_starts_at_the_last_perturbation_and_ends_in_the_ball() -> None:
    objective, views = made()
    assert set(numbers(objective.prior)) == {-127, 127}, "at first a corner of the ball"
    objective.prior.copy_(torch.randint(-127, 128, objective.prior.shape, generator=generator(9)))
    step = attacked(objective, views)
    x, q = numbers(views.clean), numbers(objective.prior[ROWS])
    start = [min(max(a + EPS * b / 127, 0.0), 1.0) for a, b in zip(x, q, strict=True)]
    assert numbers(step.start) == pytest.approx(start, abs=1e-6)
    point = step.start.clone().requires_grad_()
    logp = views.student(point).logits.log_softmax(1)
    (gradient,) = torch.autograd.grad(-sum(logp[i, int(views.labels[i])] for i in range(N)), point)
    sign = [float((g > 0) - (g < 0)) for g in numbers(gradient)]
    end = [min(max(s + EPS * g, a - EPS, 0.0), a + EPS, 1.0) for a, s, g in zip(x, start, sign, strict=True)]
    assert numbers(views.attacked) == pytest.approx(end, abs=1e-6)


@pytest.mark.parametrize(("smoothing", "consistency"), [(0.0, 10.0), (0.4, 3.0)])
def test_terms_equal_plain_loops(smoothing: float, consistency: float) -> None:
    objective, views = made(label_smoothing=smoothing, consistency=consistency)
    step = attacked(objective, views)
    terms = objective(views).terms
    ends, starts = (views.student(images).logits.double().tolist() for images in (views.attacked, step.start))
    ce = [
        -sum((smoothing / K + (1 - smoothing) * (j == i % K)) * math.log(p) for j, p in enumerate(softmax(row)))
        for i, row in enumerate(ends)
    ]
    change = [mean([(a - b) ** 2 for a, b in zip(*rows, strict=True)]) for rows in zip(ends, starts, strict=True)]
    assert terms["ce"].item() == pytest.approx(mean(ce), rel=1e-5)
    assert terms["consistency"].item() == pytest.approx(consistency * mean(change), rel=1e-4)
    assert terms["consistency"].item() > 0


def test_both_ends_of_the_change_are_trained() -> None:
    """With S(x0) detached, the gradient would be that of S(x') alone."""
    objective, views = made(consistency=1.0)
    step = attacked(objective, views)
    head = views.student.head.bias
    (found,) = torch.autograd.grad(objective(views).terms["consistency"], head, allow_unused=True)
    assert found.abs().max() < 1e-5, "the bias moves both alike"
    assert step.start is not views.attacked


def test_perturbations_are_kept_after_the_step_for_their_images_alone() -> None:
    objective, views = made()
    objective.train()
    before = objective.prior.clone()
    attacked(objective, views)
    objective(views)
    assert torch.equal(objective.prior, before), "not before the optimiser's step"
    objective.after_step()
    for i, row in enumerate(ROWS.tolist()):
        delta = zip(numbers(views.attacked[i]), numbers(views.clean[i]), strict=True)
        assert numbers(objective.prior[row]) == pytest.approx([127 * (a - b) / EPS for a, b in delta], abs=0.51)
    others = [i for i in range(M) if i not in ROWS.tolist()]
    assert torch.equal(objective.prior[others], before[others])
    kept = objective.prior.clone()
    objective.eval()
    attacked(objective, views)
    objective(views)
    objective.after_step()
    assert torch.equal(objective.prior, kept)


def test_without_an_attack_there_is_no_change_and_nothing_is_kept() -> None:
    objective, views = made()
    before = objective.prior.clone()
    distiller = Distiller(views.student, None, objective, Threat()).train()
    terms = distiller(views.batch, (0, 0, 0), 0.0).terms
    objective.after_step()
    assert terms["consistency"].item() == 0
    assert torch.equal(objective.prior, before)


def test_a_killed_run_ends_in_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(RECIPE, eps_warmup=0.3)

    def run(folder: str, *, resume: bool = False) -> None:
        train(FGSMPGI(label_smoothing=0.4), recipe, tmp_path / folder, resume=resume, quiet=True)

    run("whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 7, Killed)  # in the second epoch
        with pytest.raises(Killed):
            run("killed")
    run("killed", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_what_it_needs() -> None:
    with pytest.raises(ValueError, match="image_size"):
        FGSMPGI().setup(Spaces(8, K, M), generator(0))
    with pytest.raises(ValueError, match="consistency must not be negative"):
        FGSMPGI(consistency=-1.0)
    objective, views = made()
    objective.inner(views)
    with pytest.raises(ValueError, match="fgsm-pgi is defined for norm 'linf' only, got 'l2'"):
        objective.attack(Threat("l2", Eps(0.5)), 1, None)
