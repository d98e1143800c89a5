"""This module finds the file names of images in the cells of a table."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from robustfeat.data.rows import FileNames


def file_names(cells: pa.ChunkedArray, rows: Tensor) -> FileNames | None:
    """Return the file name of each image, as the table has it; None unless every one of these rows has one.

    Args:
        cells: the images: encoded bytes, paths, or a struct of both as Hugging Face `datasets` writes it.
        rows: row numbers, int64 (n,).
    """
    if pa.types.is_struct(cells.type):
        if cells.type.get_field_index("path") < 0:
            return None
        cells = pc.struct_field(cells, "path")
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        return None
    names = cells.take(pa.array(rows.numpy()))
    return None if names.null_count else tuple(names.to_pylist())
