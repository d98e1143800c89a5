"""Is one model better than another? On the same images, under the same attacks, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from robustfeat.evaluation.measure import only_hits_and_misses
from robustfeat.evaluation.paired import check_same_images, judged, paired
from robustfeat.numerics.types import PerExample
from robustfeat.report import Report, aligned


@dataclass(frozen=True)
class Difference:
    """One metric of two models: `difference` = second - first in [low, high] (95 %), and the p-value of "no difference"."""

    task: str
    metric: str
    attack: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    n: int


def compare(first: Report, second: Report, *, seed: int = 0) -> list[Difference]:
    """Every number that both reports have, in the order of the first.

    Intervals come from images drawn again for both models alike (paired bootstrap). The p-value of a rate is McNemar's exact
    one, from the images on which exactly one model is right; of any other metric it is that of the bootstrap.

    Raises ValueError where the reports are of other images or attacks, or have no values per image.
    """
    _check(first, second)
    found: list[Difference] = []
    drawn: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for row in first.rows:
        try:
            other = second.value(row.task, row.metric, row.attack)
        except KeyError:
            continue
        place = row.task, row.attack
        if place not in drawn:
            drawn[place] = paired(first, second, *place, seed)
        gaps = drawn[place][row.metric][:, 1] - drawn[place][row.metric][:, 0]
        values = (judged(report, *place).get(row.metric) for report in (first, second))
        low, high, p = _judge(gaps, *values)
        gap = other - row.value
        found.append(Difference(row.task, row.metric, row.attack, row.value, other, gap, low, high, p, row.n))
    return found


def _check(first: Report, second: Report) -> None:
    check_same_images(first, second)
    for name in first.attacks.keys() & second.attacks.keys():
        if first.attacks[name] != second.attacks[name]:
            raise ValueError(
                f"attack {name!r} was {first.attacks[name]} for {first.model!r} and {second.attacks[name]} for "
                f"{second.model!r}; compare under the same attack"
            )


def _judge(gaps: np.ndarray, one: PerExample | None, two: PerExample | None) -> tuple[float, float, float]:
    """The interval of a difference, and the p-value. one, two: the values per case, where the metric is their mean."""
    low, high = (float(np.quantile(gaps, q)) for q in (0.025, 0.975))
    if one is not None and two is not None and only_hits_and_misses(one) and only_hits_and_misses(two):
        return low, high, _mcnemar(one, two)
    rarer = min(float((gaps <= 0).mean()), float((gaps >= 0).mean()))
    return low, high, min(1.0, max(2 * rarer, 1 / len(gaps)))


def _mcnemar(one: PerExample, two: PerExample) -> float:
    """Exact: among the cases on which one is right and the other wrong, is each right as often?"""
    better, worse = int((two > one).sum()), int((two < one).sum())
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def comparison(first: Report, second: Report, differences: Sequence[Difference]) -> str:
    """A table for the terminal."""
    header = ["task", "metric", "attack", first.model, second.model, "difference", "p", "n"]
    lines = [header]
    for d in differences:
        gap = f"{d.difference:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
        lines.append([d.task, d.metric, d.attack, f"{d.first:.3f}", f"{d.second:.3f}", gap, f"{d.p:.3g}", str(d.n)])
    return aligned(lines)
