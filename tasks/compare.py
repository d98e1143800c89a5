"""Is one model better than another? On the same images, under the same attacks, pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from robustfeat.tasks.base import TASKS
from robustfeat.tasks.measure import only_hits_and_misses, resampled
from robustfeat.tasks.named import base_name
from scipy.stats import binomtest
from torch import Tensor

from robustfeat.random import generator
from robustfeat.report import Report, aligned
from robustfeat.types import PerExample

COMPARE = 10  # what this stream of random numbers is for
RESAMPLES = 1000


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
    found = []
    for row in first.rows:
        try:
            other = second.value(row.task, row.metric, row.attack)
        except KeyError:
            continue
        found.append(_difference(first, second, row.task, row.metric, row.attack, row.value, other, row.n, seed))
    return found


def _check(first: Report, second: Report) -> None:
    for report in (first, second):
        if not report.cases:
            raise ValueError(
                f"the report of {report.model!r} has no values per image (its *.cases.safetensors); evaluate it again"
            )
    if first.data["test"]["fingerprint"] != second.data["test"]["fingerprint"]:
        raise ValueError(
            f"{first.model!r} and {second.model!r} were measured on other images, "
            f"{first.data['test']} and {second.data['test']}; there is nothing to pair"
        )
    for name in first.attacks.keys() & second.attacks.keys():
        if first.attacks[name] != second.attacks[name]:
            raise ValueError(
                f"attack {name!r} was {first.attacks[name]} for {first.model!r} and {second.attacks[name]} for "
                f"{second.model!r}; compare under the same attack"
            )


def _difference(
    first: Report, second: Report, task: str, metric: str, attack: str, one: float, two: float, n: int, seed: int
) -> Difference:
    prefix = f"{task}/{attack}/"
    rows, targets = first.cases[f"{task}/rows"], first.cases[f"{task}/targets"]
    judge = TASKS[base_name(task)]()
    judged = [
        {name.removeprefix(prefix): values for name, values in report.cases.items() if name.startswith(prefix)}
        for report in (first, second)
    ]
    if metric in judged[0]:  # a mean over cases: nothing else is needed to draw again
        judged = [{metric: values[metric]} for values in judged]
        summaries = [_mean_of(metric, values[metric], rows) for values in judged]
    else:
        summaries = [resampled(judge, values, rows, targets) for values in judged]
    images = int(rows.max()) + 1
    random = generator(seed, COMPARE)
    gaps = []
    for _ in range(RESAMPLES):
        drawn = torch.randint(images, (images,), generator=random)
        try:
            gaps.append(summaries[1](drawn)[metric] - summaries[0](drawn)[metric])
        except ValueError:  # a class was not drawn
            continue
    low, high = (float(np.quantile(gaps, q)) for q in (0.025, 0.975))
    values = [part.get(metric) for part in judged]
    if all(value is not None and only_hits_and_misses(value) for value in values):
        p = _mcnemar(*values)  # type: ignore[arg-type]
    else:
        below = float(np.mean(np.asarray(gaps) <= 0))
        above = float(np.mean(np.asarray(gaps) >= 0))
        p = min(1.0, max(2 * min(below, above), 1 / len(gaps)))
    return Difference(task, metric, attack, one, two, two - one, low, high, p, n)


def _mean_of(metric: str, values: PerExample, rows: Tensor) -> Callable[[Tensor], dict[str, float]]:
    """The mean over the cases of the images that were drawn."""
    cases_of = rows.argsort(stable=True).view(int(rows.max()) + 1, -1)
    return lambda drawn: {metric: float(values[cases_of[drawn].flatten()].double().nanmean())}


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
