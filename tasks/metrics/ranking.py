"""Metrics of scores that rank anomalous examples above normal ones; ties count half."""

from __future__ import annotations

import torch
from torch import Tensor


def auroc(scores: Tensor, anomalous: Tensor) -> float:
    """Return the probability that an anomalous example scores above a normal one.

    Args:
        scores: (n,), the anomaly scores.
        anomalous: bool (n,), which examples are anomalous.

    Raises:
        ValueError: for NaN scores, and without normal or without anomalous examples.
    """
    positives, negatives = _sides(scores, anomalous, "auroc")
    return float((_midranks(scores)[anomalous].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _sides(scores: Tensor, anomalous: Tensor, metric: str) -> tuple[int, int]:
    """Check scores, and return the numbers of anomalous and of normal examples, neither of which is 0."""
    if bool(scores.isnan().any()):
        raise ValueError(f"{int(scores.isnan().sum())} of {len(scores)} scores are NaN, which has no rank: no {metric}")
    positives = int(anomalous.sum())
    negatives = len(anomalous) - positives
    if positives == 0 or negatives == 0:
        raise ValueError(f"{metric} needs normal and anomalous examples, got {negatives} and {positives}")
    return positives, negatives


def _midranks(scores: Tensor) -> Tensor:
    """Return the ranks from 1; equal scores share their mean rank."""
    _, group, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[group]


def _curve(scores: Tensor, anomalous: Tensor) -> tuple[Tensor, Tensor]:
    """Return the true and false positives at each distinct threshold, from the highest score down."""
    order = scores.argsort(descending=True, stable=True)
    ranked, hits = scores[order], anomalous[order]
    distinct = torch.cat([ranked[1:] != ranked[:-1], torch.ones(1, dtype=torch.bool, device=scores.device)])
    true = hits.cumsum(0)[distinct].double()
    false = (~hits).cumsum(0)[distinct].double()
    return true, false


def aupr(scores: Tensor, anomalous: Tensor) -> float:
    """Return the average precision with anomalous examples as the positive class.

    Args:
        scores: (n,), the anomaly scores.
        anomalous: bool (n,), which examples are anomalous.

    Raises:
        ValueError: for NaN scores, and without normal or without anomalous examples.
    """
    _sides(scores, anomalous, "aupr")
    true, false = _curve(scores, anomalous)
    recall = true / true[-1]
    precision = true / (true + false)
    return float((recall.diff(prepend=recall.new_zeros(1)) * precision).sum())


def fpr_at_tpr(scores: Tensor, anomalous: Tensor, rate: float = 0.95) -> float:
    """Return the share of normal examples called anomalous at the threshold that finds `rate` of the anomalous ones.

    Args:
        scores: (n,), the anomaly scores.
        anomalous: bool (n,), which examples are anomalous.
        rate: the true positive rate, in (0, 1].

    Raises:
        ValueError: for NaN scores, and without normal or without anomalous examples.
    """
    _sides(scores, anomalous, "fpr_at_tpr")
    true, false = _curve(scores, anomalous)
    first = int((true / true[-1] >= rate).nonzero()[0])
    return float(false[first] / false[-1])
