"""Every number of a report once more, from the attacked images that were kept."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from robustfeat.attacks import Attack
from robustfeat.data import ImageDataset
from robustfeat.evaluation.evaluator import evaluate
from robustfeat.evaluation.records import Records
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.report import Report, Row
from robustfeat.tasks.base import Task


def recount(
    report: Report,
    extractor: FeatureExtractor,
    tasks: Sequence[Task | str],
    train: ImageDataset,
    test: ImageDataset,
    attacks: Sequence[Attack] | Mapping[str, Attack | Sequence[Attack]],
    records: str | os.PathLike[str],
    *,
    progress: bool = True,
) -> list[tuple[Row, Row | None]]:
    """The rows of a report whose value is not found again, each with what is found; none where the report is right.

    Tasks are fitted anew, features computed anew from the images in `records` (kept by `Records(..., images=True)`), and each
    image is checked to be within its threat. The arguments are those of the evaluation.

    Raises ValueError for records of another evaluation or without images, IntegrityError for a damaged or missing batch or
    an image outside its threat.
    """
    kept = Records(records, replay=True)
    identity = kept.identity() or {"batch_size": 1, "seed": 0}
    again = evaluate(
        extractor,
        tasks,
        train,
        test,
        attacks,
        batch_size=identity["batch_size"],
        seed=identity["seed"],
        examined=0,
        records=kept,
        progress=progress,
    )
    pairs = [(row, again.like(row)) for row in report.rows]
    return [(row, other) for row, other in pairs if other is None or row != _measured_as(other, row)]


def _measured_as(row: Row, other: Row) -> Row:
    return dataclasses.replace(row, eps=other.eps, seconds=other.seconds, low=other.low, high=other.high)
