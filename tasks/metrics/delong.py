"""Score intervals (95 %) of AUROCs, whose variance approaches DeLong's as the number of images grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from robustfeat.tasks.metrics.intervals import Z
from robustfeat.tasks.metrics.ranking import auroc

KNOWN = 10
"""The number of examples on the smaller side at which DeLong's variance has weight 1/2, chosen by simulated coverage."""


class Ranking(NamedTuple):
    """A ranking of cases by their anomaly scores.

    Args:
        scores: (k,), the scores of the cases.
        anomalous: bool (k,), which cases are anomalous.
        cases: (k,), the positions of the cases among all cases.
    """

    scores: Tensor
    anomalous: Tensor
    cases: Tensor


def auroc_interval(rankings: Sequence[Ranking], images: Tensor) -> tuple[float, float]:
    """Compute the 95 % interval of the mean AUROC of several rankings, where the cases of one image are dependent.

    The interval has all t with |t - auroc| <= z sqrt(V(t)). Like Wilson's interval for a rate, it neither leaves [0, 1] nor
    shrinks to nothing at its ends, as percentiles of resampled images do. V(t) has the shape of Newcombe 2006 (method 5, doi
    10.1002/sim.2324), and the size of DeLong et al. 1988, shrunk towards Newcombe's for few images.

    Args:
        rankings: the rankings.
        images: (n,), the image of each case.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: for a ranking without a normal or an anomalous case.
    """
    areas = [auroc(ranking.scores, ranking.anomalous) for ranking in rankings]
    area = sum(areas) / len(areas)
    sides = [(int(ranking.anomalous.sum()), int((~ranking.anomalous).sum())) for ranking in rankings]

    def usual(t: float) -> float:
        """Return the variance of the mean for independent rankings."""
        return sum(newcombe(t, *counts) for counts in sides) / len(sides) ** 2

    weight = sum(map(min, sides)) / (sum(map(min, sides)) + KNOWN)
    known = usual(area)
    ratio = delong(rankings, images) / known if known > 0 else 1.0  # at 0 and 1 there is nothing to go by
    size = weight * ratio + 1 - weight
    return _last(area, 0.0, lambda t: size * usual(t)), _last(area, 1.0, lambda t: size * usual(t))


def newcombe(t: float, anomalous: int, normal: int) -> float:
    """Return the variance of an AUROC, for about equal spreads of both sides.

    Args:
        t: the AUROC, in [0, 1].
        anomalous: the number of anomalous examples.
        normal: the number of normal examples.
    """
    half = (anomalous + normal) / 2 - 1
    return t * (1 - t) * (1 + half * ((1 - t) / (2 - t) + t / (1 + t))) / (anomalous * normal)


def delong(rankings: Sequence[Ranking], images: Tensor) -> float:
    """Return the variance of the mean AUROC of several rankings, with the cases of one image taken together.

    Args:
        rankings: the rankings.
        images: (n,), the image of each case.
    """
    influence = torch.zeros(int(images.max()) + 1, dtype=torch.float64)
    for scores, anomalous, cases in rankings:
        both = scores.double()
        for side, other in ((anomalous, both[~anomalous]), (~anomalous, -both[anomalous])):
            mine = both[side] if side is anomalous else -both[side]
            places = _below(mine, other.sort().values)
            spread = (places - places.mean()) / math.sqrt(len(places) * max(1, len(places) - 1))
            influence.index_add_(0, images[cases[side]], spread / len(rankings))
    return float(influence.square().sum())


def _below(values: Tensor, others: Tensor) -> Tensor:
    """Return the share of the others (sorted) that are below each value; ties count half."""
    left, right = (torch.searchsorted(others, values, right=right) for right in (False, True))
    return (left + right).double() / (2 * len(others))


def _last(area: float, end: float, variance: Callable[[float], float]) -> float:
    """Return the t farthest from `area` towards `end` that the score test does not reject."""
    inside, outside = area, end
    for _ in range(60):
        t = (inside + outside) / 2
        if (t - area) ** 2 <= Z**2 * variance(t):
            inside = t
        else:
            outside = t
    return inside
