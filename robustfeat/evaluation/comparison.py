"""Is one model better than another? On the same images, under the same attacks, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from robustfeat.evaluation.measure import only_hits_and_misses
from robustfeat.evaluation.paired import check_same_images, paired
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import PerExample
from robustfeat.report import Report, Row, Sized, Title, aligned


@dataclass(frozen=True)
class Difference:
    """One metric of two models: `difference` = second - first in [low, high] (95 %), and the p-value of "no difference".

    task, metric, attack, eps, column: as in a row of the reports.
    """

    task: Title
    metric: str
    attack: str
    eps: Eps | None
    column: str
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
    drawn: dict[tuple[Title, Sized, str], dict[str, np.ndarray]] = {}
    for row in first.rows:
        other = second.like(row)
        if other is None or _climbed(first, row) != _climbed(second, other):
            continue
        place = row.task, row.sized, row.column
        if place not in drawn:
            drawn[place] = paired(first, second, row, other, seed)
        gaps = drawn[place][row.metric][:, 1] - drawn[place][row.metric][:, 0]
        values = (report.judged(mine).get(row.metric) for report, mine in ((first, row), (second, other)))
        low, high, p = _judge(gaps, *values)
        where = row.task, row.metric, *row.sized, row.column
        found.append(Difference(*where, row.value, other.value, other.value - row.value, low, high, p, row.n))
    return found


def _climbed(report: Report, row: Row) -> bool:
    """Whether the attack of a row may have begun where a smaller one had ended: then it is not the attack of that size alone."""
    return len(report.sizes(row.attack)) > 1


def _check(first: Report, second: Report) -> None:
    check_same_images(first, second)
    for sized in first.attacks.keys() & second.attacks.keys():
        if first.attacks[sized] != second.attacks[sized]:
            raise ValueError(
                f"attack {first.label(*sized)!r} was {first.attacks[sized]} for {first.model!r} and {second.attacks[sized]} for "
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
        attack = first.label(d.attack, d.eps, d.column)
        lines.append([d.task, d.metric, attack, f"{d.first:.3f}", f"{d.second:.3f}", gap, f"{d.p:.3g}", str(d.n)])
    return aligned(lines)
