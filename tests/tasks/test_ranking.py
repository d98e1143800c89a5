"""AUROC, AUPR and FPR against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks.metrics.ranking import aupr, auroc, fpr_at_tpr


@pytest.mark.parametrize("levels", [None, 1, 2, 5, 40])
@pytest.mark.parametrize(("normal", "anomalous"), [(50, 50), (200, 7), (1, 30), (30, 1), (19, 20)])
def test_as_sklearn(normal: int, anomalous: int, levels: int | None) -> None:
    """`levels` different scores only: heavy ties, down to a detector that gives every example the same one."""
    random = generator(normal, anomalous)
    truth = torch.randperm(normal + anomalous, generator=random) < anomalous
    scores = torch.randn(len(truth), generator=random) + truth
    if levels is not None:
        scores = (scores.clamp(-3, 3) * levels / 6.01).floor()
        assert len(scores.unique()) <= levels + 1
    y, s = truth.numpy(), scores.numpy()
    assert auroc(scores, truth) == pytest.approx(roc_auc_score(y, s), abs=1e-9)
    assert aupr(scores, truth) == pytest.approx(average_precision_score(y, s), abs=1e-9)
    false, true, _ = roc_curve(y, s, drop_intermediate=False)
    for rate in (0.5, 0.8, 0.95, 1.0):
        assert fpr_at_tpr(scores, truth, rate) == pytest.approx(false[np.flatnonzero(true >= rate)[0]], abs=1e-9)


def test_auroc_counts_pairs() -> None:
    scores, truth = torch.tensor([0.0, 1, 1, 2, 3, 1]), torch.tensor([False, False, True, True, False, True])
    pairs = [(float(a), float(b)) for a in scores[truth] for b in scores[~truth]]
    assert auroc(scores, truth) == pytest.approx(sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs))


def test_extremes() -> None:
    scores, truth = torch.tensor([0.0, 1, 2, torch.inf]), torch.tensor([False, False, True, True])
    assert (auroc(scores, truth), aupr(scores, truth), fpr_at_tpr(scores, truth)) == (1, 1, 0)
    assert (auroc(-scores, truth), fpr_at_tpr(-scores, truth)) == (0, 1)


@pytest.mark.parametrize("metric", [auroc, aupr, fpr_at_tpr])
@pytest.mark.parametrize("truth", [torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)])
def test_one_class_only(metric: Callable[[Tensor, Tensor], float], truth: Tensor) -> None:
    with pytest.raises(ValueError, match="needs normal and anomalous"):
        metric(torch.arange(4.0), truth)
