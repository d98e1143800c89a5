"""The paired bootstrap of the metrics of two models on the same images."""

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
    """Compute the metrics of two models on resamples of the images, drawn with replacement.

    Equal seeds draw equal images for every task and attack on the same number of images.

    Args:
        first: the report on the first model.
        second: the report on the second model.
        one: a row of the first report.
        other: the row of the second report for the same task and attack. Other metrics of these cases are computed as well.
        seed: of the resamples.

    Returns:
        For each metric, its values for both models, (resamples, 2).

    Raises:
        ValueError: if a report has no values per image, or the reports are about different images.
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
    """Check that both reports have values per image, for the same training and test images.

    Raises:
        ValueError: otherwise.
    """
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
    """Return the means over the cases as a function of the images that are drawn."""
    cases_of = rows.argsort(stable=True).view(int(rows.max()) + 1, -1)
    return lambda drawn: {name: float(v[cases_of[drawn].flatten()].double().nanmean()) for name, v in values.items()}
