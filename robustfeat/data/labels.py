"""Columns of class numbers: what they hold, and which rows have none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from robustfeat.data.store import OnError

NO_CLASS = -1


def column_labels(name: str, rows: pa.Table, column: str) -> torch.Tensor | None:
    """The class number of every row; None where all are -1, by which `datasets` marks labels that are kept secret."""
    values = rows.column(column).to_numpy()
    if values.dtype.kind not in "iub":  # missing values make floats
        raise ValueError(f"label column {column!r} of {name!r} must hold a class number per row, it is {values.dtype}")
    labels = torch.from_numpy(values.astype(np.int64))
    if len(labels) and bool((labels == NO_CLASS).all()):
        return None
    return labels


def rows_with_class(
    name: str, column: str, labels: torch.Tensor, names: Sequence[str] | None, rows: torch.Tensor, on_error: OnError
) -> torch.Tensor:
    """Those of the rows whose label is the number of a class; ValueError for others, unless they are to be skipped."""
    strange = labels < 0 if names is None else (labels < 0) | (labels >= len(names))
    if on_error == "raise" and bool(strange[rows].any()):
        row = int(rows[strange[rows]][0])
        known = "of a class" if names is None else f"of one of the {len(names)} classes"
        raise ValueError(
            f"label column {column!r} of {name!r} holds {int(labels[row])} in row {row}, which is not the number {known}; "
            "use on_error='skip' to leave such rows out"
        )
    return rows[~strange[rows]]
