"""LIET: patterns, starts and both terms one number at a time, and a count of steps that a resumed run knows."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from plain_losses import kl, mean, softmax
from run_state import assert_same
from short_runs import RECIPE, Killed, stop_after
from torch import Tensor

from robustfeat.attacks import Threat
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch
from robustfeat.objectives import LIET, Spaces, Views
from robustfeat.objectives.liet import EliminatingStep, jensen_shannon
from robustfeat.testing import small_network
from robustfeat.training.loop import train

N, K, EPS = 6, 4, 8 / 255


def made(**options: float) -> tuple[LIET, Views]:
    objective = LIET(**options)  # type: ignore[arg-type]
    student = small_network(0).eval()
    labels = torch.arange(N) % K
    objective.setup(Spaces(student.feature_dim, K, N, labels=labels, image_size=8), generator(5))
    with torch.no_grad():
        student.head.weight.mul_(50)  # an untrained head says nearly the same of every image
        for module in student.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # an untrained one lets nothing of a grey image through
                module.bias.normal_(generator=generator(8))
    images = torch.rand(N, 3, 8, 8, generator=generator(6))
    return objective, Views(student, None, Batch(images, labels, torch.arange(N)), generator(7))


def numbers(values: Tensor) -> list[float]:
    return values.flatten().tolist()


def test_targets_keep_their_share_and_spread_the_rest_over_wrong_classes() -> None:
    objective, views = made(label_smoothing=0.6)
    q = objective.targets(views.labels, generator(1))
    for row, label in zip(q.tolist(), views.labels.tolist(), strict=True):
        assert row[label] == pytest.approx(0.4)
        assert sum(row) == pytest.approx(1)
        assert len({round(p, 6) for p in row}) == K, "no two classes get the same"
    assert not torch.equal(q, objective.targets(views.labels, generator(2)))


def test_patterns_raise_the_loss_of_each_class_on_a_grey_image() -> None:
    objective, views = made(label_smoothing=0.0)
    objective.inner(views)
    for k in range(K):
        grey = torch.full((1, 3, 8, 8), 0.5).requires_grad_()
        (gradient,) = torch.autograd.grad(-views.student(grey).logits.log_softmax(1)[0, k], grey)
        assert objective.patterns[k].any()
        assert numbers(objective.patterns[k]) == [float((g > 0) - (g < 0)) for g in numbers(gradient)]


@pytest.mark.parametrize("seed", range(4))
def test_the_start_is_the_pattern_or_its_opposite_with_a_share_of_noise(seed: int) -> None:
    patterns = torch.randint(0, 2, (N, 3, 32, 32), generator=generator(1)) * 2 - 1
    images = torch.full((N, 3, 32, 32), 0.5)
    step = EliminatingStep(Threat("linf", Eps(EPS)), "liet", patterns, 0.1, 0.5)
    delta = (step.begin(images, generator(seed)) - images) / EPS
    whole = (delta.abs() > 1 - 1e-4).float().mean().item()
    assert 0.49 < whole < 0.91, "between half and nine tenths are the pattern's"
    kept = delta.abs() > 1 - 1e-4
    sign = (delta * patterns)[kept].mean().item()
    assert abs(sign) == pytest.approx(1, abs=1e-3), "one sign for the whole batch"
    assert delta[~kept].abs().mean().item() == pytest.approx(0.5, abs=0.03), "uniform noise"


def test_both_signs_and_many_shares_are_drawn() -> None:
    images, patterns = torch.full((1, 3, 32, 32), 0.5), torch.ones(1, 3, 32, 32)
    step = EliminatingStep(Threat("linf", Eps(EPS)), "liet", patterns, 0.0, 1.0)
    deltas = [(step.begin(images, generator(seed)) - images) / EPS for seed in range(12)]
    shares = [(delta.abs() > 1 - 1e-4).float().mean().item() for delta in deltas]
    assert {bool(delta.mean() > 0) for delta in deltas} == {True, False}
    assert min(shares) < 0.3 < 0.7 < max(shares)


def test_terms_equal_plain_loops() -> None:
    objective, views = made(label_smoothing=0.0, consistency=7.0, warmup_steps=10)
    objective.after_step()
    objective.after_step()  # of ten steps the third is next
    loss = objective.inner(views)
    step = objective.attack(Threat("linf", Eps(EPS)), 10, None)
    assert loss is not None
    assert isinstance(step, EliminatingStep)
    views.attack, views.attacked = step, step(loss, views.clean, generator=views.generator)
    terms = objective(views).terms
    start, end = (views.student(images).logits.double().tolist() for images in (step.start, views.attacked))
    ce = [-math.log(softmax(row)[label]) for row, label in zip(end, views.labels.tolist(), strict=True)]
    js = []
    for one, two in zip(start, end, strict=True):
        middle = [math.log((p + q) / 2) for p, q in zip(softmax(one), softmax(two), strict=True)]
        js.append((kl(one, middle) + kl(two, middle)) / 2)
    assert terms["ce"].item() == pytest.approx(mean(ce), rel=1e-5)
    assert terms["js"].item() == pytest.approx(7 * 0.3 * mean(js), rel=1e-3)
    assert (views.attacked - views.clean).abs().max() <= EPS + 1e-6


def test_jensen_shannon_is_symmetric_and_at_most_log_2() -> None:
    one, two = torch.tensor([[100.0, 0.0], [1.0, 2.0]]), torch.tensor([[0.0, 100.0], [1.0, 2.0]])
    torch.testing.assert_close(jensen_shannon(one, two), torch.tensor([math.log(2), 0.0]))
    torch.testing.assert_close(jensen_shannon(one, two), jensen_shannon(two, one))


def test_patterns_are_made_anew_every_so_many_steps_and_a_restored_objective_knows_when() -> None:
    objective, views = made(refresh=3)
    made_at = []
    for step in range(7):
        objective.patterns.zero_()
        objective.inner(views)
        objective.inner(views)  # parts of one step share them
        made_at += [step] if objective.patterns.any() else []
        objective.after_step()
    assert made_at == [0, 3, 6]
    other, _ = made(refresh=3)
    other.load_state_dict(objective.state_dict())  # after seven steps: the next are made at nine
    assert torch.equal(other.patterns, objective.patterns)
    other.patterns.zero_()
    other.inner(views)
    assert not other.patterns.any()


def test_a_killed_run_ends_in_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(folder: str, *, resume: bool = False) -> None:
        objective = LIET(refresh=4, warmup_steps=9)
        train(objective, dataclasses.replace(RECIPE, accumulate=2), tmp_path / folder, resume=resume, quiet=True)

    run("whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 6, Killed)  # between two makings of the patterns
        with pytest.raises(Killed):
            run("killed")
    run("killed", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize(
    "options", [{"label_smoothing": 1.0}, {"consistency": -1.0}, {"warmup_steps": -1}, {"most": 1.1}, {"refresh": 0}]
)
def test_impossible_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        LIET(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"least 0\.6"):
        LIET(least=0.6, most=0.5)


def test_what_it_needs() -> None:
    labels = torch.arange(N) % K
    with pytest.raises(ValueError, match="image_size"):
        LIET().setup(Spaces(8, K, N, labels=labels), generator(0))
    with pytest.raises(ValueError, match="liet needs labels"):
        LIET().setup(Spaces(8, K, N, image_size=8), generator(0))
