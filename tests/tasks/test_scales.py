"""Scores that do not depend on the scale of the features, do not saturate, and are never NaN without an error."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, getcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.runtime.errors import IntegrityError
from robustfeat.tasks import DETECTORS, MSP, TASKS, Energy, LinearProbe, Mahalanobis, Task, load_task, save_task
from robustfeat.tasks.metrics.ranking import aupr, auroc, fpr_at_tpr

LABELS = torch.arange(60) % 2
CENTRES = 2 * torch.randn(2, 6, generator=generator(150))
NORMAL = CENTRES[LABELS] + torch.randn(60, 6, generator=generator(151))
ASKED = CENTRES[LABELS[:20]] + 2 * torch.randn(20, 6, generator=generator(152))
KINDS: dict[str, Callable[[], Task]] = {
    **{name: TASKS[name] for name in TASKS if name != "head"},  # whose weights come from a model
    **{name: DETECTORS[name] for name in DETECTORS},
}


def measured(name: str, scale: float) -> tuple[Tensor, dict[str, float], Tensor]:
    """Losses, metrics and the directions of the gradients."""
    task = KINDS[name]().fit(scale * NORMAL, LABELS)
    labels = LABELS[:20].masked_fill(LABELS[:20] == 0, 9) if task.novel_classes else LABELS[:20]
    rows, targets = task.cases(labels, scale * ASKED)
    features = (scale * ASKED)[rows].requires_grad_()
    losses = task.loss(features, targets)
    (gradient,) = torch.autograd.grad(losses.sum(), features)
    return losses.detach(), task.score(features.detach(), targets), gradient * scale


@pytest.mark.parametrize("scale", [2.0**-66, 2.0**83], ids=["1e-20", "1e25"])
@pytest.mark.parametrize("name", KINDS)
def test_the_scale_of_features_is_no_matter(name: str, scale: float) -> None:
    """Scaled by powers of two, which round nothing: so that what is left is what squares and clamps do."""
    losses, metrics, gradient = measured(name, 1.0)
    found = measured(name, scale)
    torch.testing.assert_close(found[0], losses, rtol=1e-3, atol=1e-3)
    assert found[1] == pytest.approx(metrics, abs=1e-6)
    torch.testing.assert_close(found[2], gradient, rtol=1e-2, atol=1e-3)


def surprise(logits: list[float]) -> Decimal:
    """1 - max softmax, in exact arithmetic."""
    getcontext().prec = 200
    powers = [Decimal(value).exp() for value in logits]
    return 1 - max(powers) / sum(powers)


def test_sure_logits_are_told_apart() -> None:
    logits = [[40.0, 0.0], [60.0, 0.0], [80.0, 0.0], [80.0, 30.0], [0.2, 0.1], [0.0, 0.0], [17.0, 0.1], [17.0, 0.2]]
    logits += [[0.0, -90.0], [0.0, -100.0]]
    found = MSP().score_logits(torch.tensor(logits))
    exact = [surprise(torch.tensor(row).double().tolist()) for row in logits]
    assert found.argsort().tolist() == sorted(range(len(exact)), key=exact.__getitem__)
    assert len(found.unique()) == len(logits)
    for a, b in zip(found.tolist(), exact, strict=True):
        assert a == pytest.approx(float((b / (1 - b)).ln()), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("detector", [MSP, Energy])
def test_an_attack_moves_what_is_sure(detector: type[MSP] | type[Energy]) -> None:
    logits = torch.tensor([[40.0, 0.0, -3.0], [300.0, 0.0, 2.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(detector().score_logits(logits).sum(), logits)
    torch.testing.assert_close(gradient[:, 0], -torch.ones(2))


@pytest.mark.parametrize("metric", [auroc, aupr, fpr_at_tpr])
def test_nan_has_no_rank(metric: Callable[[Tensor, Tensor], float]) -> None:
    scores = torch.tensor([0.0, 1.0, torch.nan, 2.0])
    with pytest.raises(ValueError, match="1 of 4 scores are NaN"):
        metric(scores, torch.tensor([False, False, True, True]))


def test_scores_beyond_float32_are_refused() -> None:
    detector = Mahalanobis().fit(NORMAL)
    far = ASKED.clone()
    far[3] = 1e25
    for ask in (detector.anomaly, detector.calibrate, lambda x: detector.score(x, LABELS[:20])):
        with pytest.raises(ValueError, match="scores of Mahalanobis are NaN or infinite"):
            ask(far)
    assert Mahalanobis().fit(NORMAL.double()).anomaly(far.double()).isfinite().all()


def test_thresholds_on_the_old_scale_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "msp"
    with monkeypatch.context() as old:
        old.setattr(MSP, "scores", "")
        save_task(MSP().fit(NORMAL, LABELS).calibrate(ASKED), folder)
    with pytest.raises(IntegrityError, match="on another scale"):
        load_task(folder)
    save_task(MSP().fit(NORMAL, LABELS).calibrate(ASKED), folder)
    assert load_task(folder).scores == "log odds"  # type: ignore[union-attr]


def test_a_probe_at_any_scale_is_the_same_classifier() -> None:
    small, large = (LinearProbe().fit(scale * NORMAL, LABELS) for scale in (2.0**-66, 2.0**83))
    torch.testing.assert_close(small.linear().weight * 2.0**-66, large.linear().weight * 2.0**83)
