"""This module resolves row selections as NumPy does, and refuses others with an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

FileNames = tuple[str, ...]
Rows = Sequence[int] | Sequence[bool] | slice | np.ndarray | Tensor


def row_numbers(rows: Rows, n: int) -> Tensor:
    """Return the selected rows of n as int64 numbers in 0..n-1, on the CPU.

    Args:
        rows: integers of any type, in any order, repeated or not, negative ones counted from the end; a mask of n bools; or a
            slice.
        n: the number of rows of the data set.

    Raises:
        TypeError: for anything else.
        ValueError: for another shape, and for masks of another length.
        IndexError: for rows that do not exist.
    """
    if isinstance(rows, slice):
        return torch.tensor(range(n)[rows], dtype=torch.long)
    if isinstance(rows, str | bytes) or not hasattr(rows, "__len__"):
        raise TypeError(f"rows must be a sequence of row numbers, a mask or a slice, got {rows!r}")
    given = rows.cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
    if given.ndim != 1:
        raise ValueError(f"rows must have one dimension, got shape {given.shape}")
    if not len(given) and not isinstance(rows, Tensor | np.ndarray):
        return torch.empty(0, dtype=torch.long)  # a list of nothing has no type
    if given.dtype == np.bool_:
        if len(given) != n:
            raise ValueError(f"a mask of rows must have one bool per row, {n} of them, got {len(given)}")
        return torch.from_numpy(given.nonzero()[0])
    if not np.issubdtype(given.dtype, np.integer):
        raise TypeError(f"rows must be integers or a mask of bools, got {given.dtype}; round floats yourself")
    if (strange := given[(given < -n) | (given >= n)]).size:
        raise IndexError(f"row {int(strange[0])} is not among the {n} rows")
    numbers = given.astype(np.int64)
    return torch.from_numpy(np.where(numbers < 0, numbers + n, numbers))


def picked(values: Tensor | None, numbers: Tensor) -> Tensor | None:
    """Return the values of these rows, or None if the data set has no such values."""
    return None if values is None else values[numbers]


def picked_names(names: FileNames | None, numbers: Tensor) -> FileNames | None:
    """Return the file names of these rows, or None if the data set has no files."""
    return None if names is None else tuple(names[number] for number in numbers.tolist())


def check_count(value: Any, name: str) -> None:
    """Check that `value` is a whole number of at least 1.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number, at least 1, got {value!r}")
