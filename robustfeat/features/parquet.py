"""Features as Parquet: Arrow's fixed-size lists with the id, file and class of each image, and their origin in the metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from robustfeat.data import ImageDataset
from robustfeat.features.origin import Origin
from robustfeat.features.partial import PartialFile
from robustfeat.runtime.files import atomic_file

GROUP_ROWS, GROUP_BYTES = 4096, 1 << 26  # of a row group, which is in memory at once


def schema(origin: Origin, dtype: np.dtype) -> pa.Schema:
    """Return the columns id, path, label, class and feature, with the origin as metadata."""
    feature = pa.list_(pa.field("item", pa.from_numpy_dtype(dtype), nullable=False), origin.dimension)
    columns = {"id": pa.int64(), "path": pa.string(), "label": pa.int64(), "class": pa.string(), "feature": feature}
    needed = {"id", "feature"}
    fields = [pa.field(name, kind, nullable=name not in needed) for name, kind in columns.items()]
    return pa.schema(fields, metadata=origin.metadata())


def write_parquet(part: PartialFile, target: Path, origin: Origin, data: ImageDataset) -> None:
    """Write a complete file of tensors as Parquet, one row group after the other; then remove it.

    A label below 0 is null. Pages have checksums.

    Args:
        part: the features, labels and rows.
        target: the path to write to; it appears when it is complete.
        origin: the origin of the features.
        data: the whole data set, for the file names.
    """
    dtype = part.rows("features", 0, 0).dtype
    size = max(1, min(GROUP_ROWS, GROUP_BYTES // (dtype.itemsize * origin.dimension)))
    columns = schema(origin, dtype)
    with (
        atomic_file(target) as temporary,
        ParquetWriter(
            temporary, columns, compression="zstd", use_dictionary=["class"], write_page_checksum=True
        ) as writer,
    ):
        for start in range(0, part.done, size):
            writer.write_table(_group(part, start, min(start + size, part.done), columns, origin, data))
    part.remove()


def _group(
    part: PartialFile, start: int, stop: int, columns: pa.Schema, origin: Origin, data: ImageDataset
) -> pa.Table:
    features, labels, rows = (part.rows(name, start, stop) for name in ("features", "labels", "rows"))
    known = dict(enumerate(origin.classes))
    values = {
        "id": pa.array(rows),
        "path": pa.array([None if data.files is None else data.files[row] for row in rows.tolist()], pa.string()),
        "label": pa.array(labels, mask=labels < 0),
        "class": pa.array([known.get(label) for label in labels.tolist()], pa.string()),
        "feature": pa.FixedSizeListArray.from_arrays(
            pa.array(features.reshape(-1)), type=columns.field("feature").type
        ),
    }
    return pa.table(values, schema=columns)
