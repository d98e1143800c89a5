"""Two models on the same images, drawn again and again for both alike: what their metrics could have been."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from robustfeat.evaluation.measure import resampled
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import PerExample
from robustfeat.report import Report
from robustfeat.tasks import TASKS
from robustfeat.tasks.names import base_name

RESAMPLES = 1000


def judged(report: Report, task: str, attack: str) -> dict[str, PerExample]:
    """The values per case of one task under one attack, by the name the task gives them."""
    prefix = f"{task}/{attack}/"
    return {name.removeprefix(prefix): values for name, values in report.cases.items() if name.startswith(prefix)}


def paired(first: Report, second: Report, task: str, attack: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Metric -> (resamples, 2), the metric of both models on images that are drawn with replacement.

    Equal seeds draw equal images for every task and attack on as many images. Raises ValueError where a report has no values per
    image, or the reports are of other images.
    """
    check_same_images(first, second)
    both = [judged(report, task, attack) for report in (first, second)]
    rows, targets = first.cases[f"{task}/rows"], first.cases[f"{task}/targets"]
    wanted = {row.metric for row in first.rows if (row.task, row.attack) == (task, attack)}
    if wanted <= both[0].keys():  # means over cases: nothing else is needed to draw again
        summaries = [_means(values, rows) for values in both]
    else:
        summaries = [resampled(TASKS[base_name(task)](), values, rows, targets) for values in both]
    images = int(rows.max()) + 1
    random = generator(seed, Stream.COMPARE)
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(RESAMPLES):
        drawn = torch.randint(images, (images,), generator=random)
        try:
            one, two = (summary(drawn) for summary in summaries)
        except ValueError:  # a class was not drawn
            continue
        for metric in one.keys() & two.keys():
            found.setdefault(metric, []).append((one[metric], two[metric]))
    return {metric: np.asarray(values) for metric, values in found.items()}


def check_same_images(first: Report, second: Report) -> None:
    """ValueError unless both reports have values per image, of the same images, after learning from the same ones."""
    for report in (first, second):
        if not report.cases:
            raise ValueError(
                f"the report of {report.model!r} has no values per image (its *.cases.safetensors); evaluate it again"
            )
    if first.data.get("train", {}).get("fingerprint") != second.data.get("train", {}).get("fingerprint"):
        raise ValueError(
            f"the tasks of {first.model!r} and {second.model!r} have learnt from other images, {first.data['train']} and "
            f"{second.data['train']}; fit both on the same"
        )
    if first.data["test"]["fingerprint"] != second.data["test"]["fingerprint"]:
        raise ValueError(
            f"{first.model!r} and {second.model!r} were measured on other images, "
            f"{first.data['test']} and {second.data['test']}; there is nothing to pair"
        )


def _means(values: dict[str, PerExample], rows: Tensor) -> Callable[[Tensor], dict[str, float]]:
    """The means over the cases of the images that were drawn."""
    cases_of = rows.argsort(stable=True).view(int(rows.max()) + 1, -1)
    return lambda drawn: {name: float(v[cases_of[drawn].flatten()].double().nanmean()) for name, v in values.items()}
