"""This module lists image files in a table with the metadata that Hugging Face `datasets` writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from robustfeat.data.table import Table


def files_table(
    root: Path,
    paths: Sequence[Path],
    labels: Sequence[int] | None,
    classes: Sequence[str],
    *,
    masks: Sequence[Path | None] | None = None,
    left_out: str = "",
) -> Table:
    """Return a table of image files with the column "image" and, where they are given, "label" and "mask".

    Args:
        root: the folder that the fingerprint takes paths relative to.
        paths: the image files.
        labels: a class number for each image, or None.
        classes: the names of the classes, in the order of their numbers.
        masks: the mask file of each image, None for an image without one; or None for data without masks.
        left_out: what was left out next to the images, in words with counts; empty if nothing was.

    Returns:
        The table; its fingerprint depends on the relative paths, sizes and modification times of the images.
    """
    columns = {"image": pa.array([{"path": str(path)} for path in paths])}
    features: dict[str, object] = {"image": {"_type": "Image"}}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int64())
        features["label"] = {"_type": "ClassLabel", "names": list(classes)}
    if masks is not None:
        columns["mask"] = pa.array([None if mask is None else str(mask) for mask in masks], pa.string())
        features["mask"] = {"_type": "Mask"}  # no type of `datasets`: nobody else writes it
    facts = [(str(path.relative_to(root)), (at := path.stat()).st_size, at.st_mtime_ns) for path in paths]
    described = json.dumps({"info": {"features": features}})
    rows = pa.table(columns).replace_schema_metadata({"huggingface": described})
    return Table(rows, hashlib.sha256(repr(facts).encode()).hexdigest(), left_out)
