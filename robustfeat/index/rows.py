"""The input of FAISS: rows of finite numbers, and ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from robustfeat.index.faiss import import_faiss

Rows = Tensor | np.ndarray

SMALLEST, LARGEST = 1e-15, 1e15
"""Between these the products of features, summed over thousands of dimensions, are ordinary numbers in float32."""


def as_rows(features: Rows, dim: int, *, unit: bool) -> np.ndarray:
    """Return features as contiguous float32 rows (n, dim).

    Args:
        features: floats (n, dim).
        dim: the width that is required.
        unit: whether the rows are brought to length 1.

    Raises:
        ValueError: the shape is another one, values are NaN or infinite, or, without `unit`, features have a scale that float32
            cannot square.
    """
    x = features.detach().cpu().numpy() if isinstance(features, Tensor) else np.asarray(features)
    if x.ndim != 2 or not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"features must be floats (n, {dim}), got {x.dtype} of shape {x.shape}")
    if x.shape[1] != dim:
        raise ValueError(f"features have width {x.shape[1]}, the index has width {dim}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        rows = np.array(x, dtype=np.float32, order="C") if unit else np.ascontiguousarray(x, dtype=np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("features contain NaN or infinite values")
    if unit:
        # Near 1 by a power of two, which costs no digit: FAISS squares in float32.
        rows = np.ldexp(rows, -np.frexp(np.abs(rows).max(axis=1, initial=0, keepdims=True))[1])
        import_faiss().normalize_L2(rows)
    elif rows.size and not SMALLEST <= (largest := float(np.abs(rows).max())) <= LARGEST and largest > 0:
        raise ValueError(
            f"features of up to {largest:g} are beyond {SMALLEST:g}..{LARGEST:g}: their products are lost in float32; scale "
            "them, or use metric 'cosine'"
        )
    return rows


def as_ids(ids: Sequence[int] | Rows) -> np.ndarray:
    """Return ids as int64 (n,).

    Raises:
        ValueError: the ids are not integers (n,).
    """
    keys = ids.detach().cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    if keys.ndim != 1 or (len(keys) and not np.issubdtype(keys.dtype, np.integer)):
        raise ValueError(f"ids must be integers (n,), got {keys.dtype} of shape {keys.shape}")
    return np.ascontiguousarray(keys, dtype=np.int64)
