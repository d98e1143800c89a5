"""This module reads columns of class numbers and finds the rows without a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from robustfeat.data.store import OnError

NO_CLASS = -1


def column_labels(name: str, rows: pa.Table, column: str) -> torch.Tensor | None:
    """Return the class number of every row.

    Args:
        name: the name of the data set, for error messages.
        rows: the table.
        column: the name of the label column.

    Returns:
        The labels, int64 (n,); None if all are -1, by which `datasets` marks labels that are withheld.

    Raises:
        ValueError: if the column does not hold a class number for every row.
    """
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
    """Return those of `rows` whose label is the number of a class.

    Args:
        name: the name of the data set, for error messages.
        column: the name of the label column.
        labels: the labels of all rows of the table, int64 (n,).
        names: the names of the classes; None accepts every label of at least 0.
        rows: the row numbers to choose from.
        on_error: "raise" refuses a row without a class, "skip" leaves it out.

    Raises:
        ValueError: if a row has no class and `on_error` is "raise".
    """
    strange = labels < 0 if names is None else (labels < 0) | (labels >= len(names))
    if on_error == "raise" and bool(strange[rows].any()):
        row = int(rows[strange[rows]][0])
        known = "of a class" if names is None else f"of one of the {len(names)} classes"
        raise ValueError(
            f"label column {column!r} of {name!r} holds {int(labels[row])} in row {row}, which is not the number {known}; "
            "use on_error='skip' to leave such rows out"
        )
    return rows[~strange[rows]]
