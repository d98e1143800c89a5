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
    found, drawn = [], {}
    for row in first.rows:
        try:
            other = second.value(row.task, row.metric, row.attack)
        except KeyError:
            continue
        place = row.task, row.attack
        if place not in drawn:
            drawn[place] = _Drawn(first, second, *place, seed)
        low, high, p = drawn[place].judge(row.metric)
        gap = other - row.value
        found.append(Difference(row.task, row.metric, row.attack, row.value, other, gap, low, high, p, row.n))
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


class _Drawn:
    """One task under one attack: what each metric's difference is when the images are drawn again, for both models alike."""

    def __init__(self, first: Report, second: Report, task: str, attack: str, seed: int) -> None:
        prefix = f"{task}/{attack}/"
        rows, targets = first.cases[f"{task}/rows"], first.cases[f"{task}/targets"]
        self.judged = [
            {name.removeprefix(prefix): values for name, values in report.cases.items() if name.startswith(prefix)}
            for report in (first, second)
        ]
        wanted = {row.metric for row in first.rows if (row.task, row.attack) == (task, attack)}
        if wanted <= self.judged[0].keys():  # means over cases: nothing else is needed to draw again
            summaries = [_means(values, rows) for values in self.judged]
        else:
            summaries = [resampled(TASKS[base_name(task)](), values, rows, targets) for values in self.judged]
        images = int(rows.max()) + 1
        random = generator(seed, COMPARE)
        self.gaps: dict[str, list[float]] = {}
        for _ in range(RESAMPLES):
            drawn = torch.randint(images, (images,), generator=random)
            try:
                one, two = (summary(drawn) for summary in summaries)
            except ValueError:  # a class was not drawn
                continue
            for metric in one.keys() & two.keys():
                self.gaps.setdefault(metric, []).append(two[metric] - one[metric])

    def judge(self, metric: str) -> tuple[float, float, float]:
        """The interval of the difference, and the p-value."""
        gaps = np.asarray(self.gaps[metric])
        low, high = (float(np.quantile(gaps, q)) for q in (0.025, 0.975))
        values = [part.get(metric) for part in self.judged]
        if all(value is not None and only_hits_and_misses(value) for value in values):
            return low, high, _mcnemar(*values)  # type: ignore[arg-type]
        rarer = min(float((gaps <= 0).mean()), float((gaps >= 0).mean()))
        return low, high, min(1.0, max(2 * rarer, 1 / len(gaps)))


def _means(judged: dict[str, PerExample], rows: Tensor) -> Callable[[Tensor], dict[str, float]]:
    """The means over the cases of the images that were drawn."""
    cases_of = rows.argsort(stable=True).view(int(rows.max()) + 1, -1)
    return lambda drawn: {name: float(v[cases_of[drawn].flatten()].double().nanmean()) for name, v in judged.items()}


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
