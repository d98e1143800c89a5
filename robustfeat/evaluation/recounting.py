"""The verification of every number of a report from the kept attacked images."""

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
    """Compute every number of a report again from the kept attacked images.

    The tasks are fitted again, the features are recomputed from the images in `records`, and each image is checked to be within
    its threat. The arguments are those of the evaluation.

    Args:
        report: the report to verify.
        extractor: the model that was evaluated.
        tasks: unfitted tasks or their names.
        train: the images that the tasks were fitted on.
        test: the images that were measured.
        attacks: the attacks of the evaluation.
        records: the folder with the kept images (`Records(..., images=True)`).
        progress: whether progress bars are shown.

    Returns:
        The rows of the report whose value differs, each with the recomputed row, or with None if it is missing; an empty list if
        the report is correct.

    Raises:
        ValueError: for records of another evaluation or without images.
        IntegrityError: for a damaged or missing batch, or an image outside its threat.
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
