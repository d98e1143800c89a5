"""Two models on the same images, drawn again and again for both alike: what their metrics could have been."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from robustfeat.evaluation.measure import resampled
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import PerExample
from robustfeat.report import CaseKey, Report, Row
from robustfeat.report.cases import ROWS, TARGETS
from robustfeat.tasks import TASKS

RESAMPLES = 1000


def paired(first: Report, second: Report, one: Row, other: Row, seed: int = 0) -> dict[str, np.ndarray]:
    """Metric -> (resamples, 2), the metric of both models on images that are drawn with replacement.

    one, other: a row of each report, of one task under one attack; other metrics of the same cases are found as well.

    Equal seeds draw equal images for every task and attack on as many images. Raises ValueError where a report has no values per
    image, or the reports are of other images.
    """
    check_same_images(first, second)
    both = [first.judged(one), second.judged(other)]
    rows, targets = (first.cases[CaseKey(one.task, kept)] for kept in (ROWS, TARGETS))
    place = one.task, one.sized, one.column
    wanted = {row.metric for row in first.rows if (row.task, row.sized, row.column) == place}
    if wanted <= both[0].keys():  # means over cases: nothing else is needed to draw again
        summaries = [_means(values, rows) for values in both]
    else:
        summaries = [resampled(TASKS[one.task.name](), values, rows, targets) for values in both]
    images = int(rows.max()) + 1
    random = generator(seed, Stream.COMPARE)
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(RESAMPLES):
        drawn = torch.randint(images, (images,), generator=random)
        try:
            mine, theirs = (summary(drawn) for summary in summaries)
        except ValueError:  # a class was not drawn
            continue
        for metric in mine.keys() & theirs.keys():
            found.setdefault(metric, []).append((mine[metric], theirs[metric]))
    return {metric: np.asarray(values) for metric, values in found.items()}


def check_same_images(first: Report, second: Report) -> None:
    """ValueError unless both reports have values per image, of the same images, after learning from the same ones."""
    for report in (first, second):
        if not report.cases:
            raise ValueError(
                f"the report of {report.model!r} has no values per image (its *.cases.safetensors); evaluate it again"
            )
    (learnt, measured), (others_learnt, others_measured) = (report.data.fingerprints for report in (first, second))
    if learnt != others_learnt:
        raise ValueError(
            f"the tasks of {first.model!r} and {second.model!r} have learnt from other images, {first.data.train} and "
            f"{second.data.train}, with fingerprints {learnt[:12]} and {others_learnt[:12]}; fit both on the same"
        )
    if measured != others_measured:
        raise ValueError(
            f"{first.model!r} and {second.model!r} were measured on other images, {first.data.test} and {second.data.test}, with "
            f"fingerprints {measured[:12]} and {others_measured[:12]}; there is nothing to pair"
        )


def _means(values: dict[str, PerExample], rows: Tensor) -> Callable[[Tensor], dict[str, float]]:
    """The means over the cases of the images that were drawn."""
    cases_of = rows.argsort(stable=True).view(int(rows.max()) + 1, -1)
    return lambda drawn: {name: float(v[cases_of[drawn].flatten()].double().nanmean()) for name, v in values.items()}
