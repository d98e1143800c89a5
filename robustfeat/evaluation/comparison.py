"""Paired comparison of two models on the same images and under the same attacks."""

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
    """The difference of one metric between two models, with its 95 % interval and p-value.

    Args:
        task: the task, as in a row of the reports.
        metric: the metric, as in a row of the reports.
        attack: the attack, as in a row of the reports.
        eps: the size of the perturbation, as in a row of the reports.
        column: the column, as in a row of the reports.
        first: the value of the first model.
        second: the value of the second model.
        difference: second - first.
        low: lower end of the 95 % interval of the difference.
        high: upper end of the 95 % interval of the difference.
        p: p-value of the hypothesis "no difference".
        n: number of images.
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
    """Compare every number that both reports contain, in the order of the first report.

    Intervals come from a paired bootstrap, which draws the same images for both models. The p-value of a rate is that of
    McNemar's exact test, from the images on which exactly one model is right; that of any other metric comes from the bootstrap.

    Args:
        first: the report on the first model.
        second: the report on the second model, on the same images and under the same attacks.
        seed: of the bootstrap.

    Returns:
        One difference per number.

    Raises:
        ValueError: if the reports are about different images or attacks, or have no values per image.
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
    """Return whether the attack of a row may have started from the result of a smaller size, and so differs from a single one."""
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
    """Return the interval of a difference and its p-value; `one` and `two` are values per case, if the metric is their mean."""
    low, high = (float(np.quantile(gaps, q)) for q in (0.025, 0.975))
    if one is not None and two is not None and only_hits_and_misses(one) and only_hits_and_misses(two):
        return low, high, _mcnemar(one, two)
    rarer = min(float((gaps <= 0).mean()), float((gaps >= 0).mean()))
    return low, high, min(1.0, max(2 * rarer, 1 / len(gaps)))


def _mcnemar(one: PerExample, two: PerExample) -> float:
    """Return the exact p-value that, on the cases on which exactly one model is right, both are right equally often."""
    better, worse = int((two > one).sum()), int((two < one).sum())
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def comparison(first: Report, second: Report, differences: Sequence[Difference]) -> str:
    """Format differences between two reports as a table for the terminal."""
    header = ["task", "metric", "attack", first.model, second.model, "difference", "p", "n"]
    lines = [header]
    for d in differences:
        gap = f"{d.difference:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
        attack = first.label(d.attack, d.eps, d.column)
        lines.append([d.task, d.metric, attack, f"{d.first:.3f}", f"{d.second:.3f}", gap, f"{d.p:.3g}", str(d.n)])
    return aligned(lines)
