"""Metrics and their confidence intervals, computed from the features of every case."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from robustfeat.evaluation.pipeline import Cases
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, PerExample
from robustfeat.report import Row, Title
from robustfeat.tasks.base import Task
from robustfeat.tasks.metrics.delong import auroc_interval
from robustfeat.tasks.metrics.intervals import bootstrap, wilson
from robustfeat.tasks.metrics.pixel import Drawn, aupro, pixel_auroc

CLEAN = "none"
AT_ONCE = 64  # images whose maps are made at a time


def measure(
    task: Task,
    features: Features,
    cases: Cases,
    *,
    title: str,
    attack: str,
    eps: Eps | None = None,
    column: str = "",
    seconds: float,
    seed: int,
) -> tuple[list[Row], dict[str, PerExample]]:
    """Compute the metrics of a fitted task.

    Args:
        task: a fitted task.
        features: (n, d), the features of the cases.
        cases: the cases of the task.
        title: title of the task in the report.
        attack: name of the attack; "none" for clean features.
        eps: size of the perturbation.
        column: the column in the report.
        seconds: duration for the rows.
        seed: of the bootstrap.

    Returns:
        One report row per metric, and the values per case from which they are computed.
    """
    device = features.device
    with torch.no_grad():
        judged = {name: v.cpu() for name, v in task.judge(features, cases.targets.to(device)).items()}
    metrics = task.summary(judged, cases.targets)
    images = int(cases.rows.max()) + 1
    # A case without a value (a query with nothing to find) does not count.
    counted = {name: round(images * float((~values.isnan()).double().mean())) for name, values in judged.items()}
    rates = {name for name in metrics if name in judged and only_hits_and_misses(judged[name])}
    again = resampled(task, judged, cases.rows, cases.targets)
    intervals = {} if len(rates) == len(metrics) else bootstrap(again, images, generator(seed, Stream.RESAMPLE))
    if rankings := task.rankings(judged, cases.targets):
        intervals["auroc"] = auroc_interval(rankings, cases.rows)
    if attack == CLEAN and (places := _places(task, features, cases)) is not None:
        maps, masks = places
        metrics |= {"pixel-auroc": pixel_auroc(maps, masks), "aupro": aupro(maps, masks)}
        intervals |= bootstrap(Drawn(maps, masks), images, generator(seed, Stream.RESAMPLE))
    found = []
    for name, value in metrics.items():
        n = counted.get(name, images)
        # Where no resample had the metric (fewer images than classes, say), nothing is known about it.
        low, high = wilson(value, n) if name in rates else intervals.get(name, (0.0, 1.0))
        if (
            name not in rates and high - low < 1e-9
        ):  # all resamples agree: that is no more certain than a rate of 0 or 1
            low, high = wilson(value, n)
        # Resampling is biased for some metrics (AUPR at its floor); the interval must not exclude what was measured.
        low, high = min(low, value), max(high, value)
        place = Title.read(title), name, attack, eps, column
        found.append(Row(*place, value, low, high, n, round(seconds, 3)))
    return found, judged


@torch.no_grad()
def _places(task: Task, features: Features, cases: Cases) -> tuple[Tensor, Tensor] | None:
    """Return anomaly maps and masks in the order of the images; None if there are no masks or the task has no maps."""
    if cases.masks is None or not bool(cases.masks.any()):
        return None
    size = cases.masks.shape[-1]
    parts = [task.maps(part, size) for part in features.split(AT_ONCE)]
    maps = [part.cpu() for part in parts if part is not None]
    return (torch.cat(maps)[cases.rows.argsort()], cases.masks[cases.rows.argsort()]) if maps else None


def resampled(
    task: Task, judged: dict[str, PerExample], rows: Tensor, targets: Tensor
) -> Callable[[Tensor], dict[str, float]]:
    """Return the metrics as a function of image numbers, for a bootstrap; the cases of one image stay together.

    Args:
        task: the task whose summary computes the metrics.
        judged: values per case, (n,) each.
        rows: (n,), the image of each case.
        targets: (n, ...), the target of each case.
    """
    cases_of = rows.argsort(stable=True).view(int(rows.max()) + 1, -1)  # positions of the cases of each image

    def again(drawn: Tensor) -> dict[str, float]:
        picked = cases_of[drawn].flatten()
        return task.summary({name: values[picked] for name, values in judged.items()}, targets[picked])

    return again


def only_hits_and_misses(values: Tensor) -> bool:
    """Return whether a metric is a rate, that is, the mean of zeros and ones (NaN is ignored)."""
    return bool((values.isnan() | (values == 0) | (values == 1)).all())
