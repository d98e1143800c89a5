"""Image files as a table, described as Hugging Face `datasets` describes one."""

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
    """Columns "image" and, where there are such, "label" and "mask"; known by the places, sizes and times of the images."""
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
