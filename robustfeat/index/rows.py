"""What FAISS takes: rows of finite numbers, and ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from robustfeat.index.faiss import import_faiss

Rows = Tensor | np.ndarray


def as_rows(features: Rows, dim: int, *, unit: bool) -> np.ndarray:
    """Contiguous float32 (n, dim), of length 1 where `unit`. Raises ValueError for another shape, NaN or infinite values."""
    x = features.detach().cpu().numpy() if isinstance(features, Tensor) else np.asarray(features)
    if x.ndim != 2 or not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"features must be floats (n, {dim}), got {x.dtype} of shape {x.shape}")
    if x.shape[1] != dim:
        raise ValueError(f"features have width {x.shape[1]}, the index has width {dim}")
    with np.errstate(over="ignore"):  # what float32 can not hold becomes infinite, and is refused
        rows = np.array(x, dtype=np.float32, order="C") if unit else np.ascontiguousarray(x, dtype=np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("features contain NaN or infinite values")
    if unit:
        import_faiss().normalize_L2(rows)
    return rows


def as_ids(ids: Sequence[int] | Rows) -> np.ndarray:
    """int64 (n,). Raises ValueError for anything but integers."""
    keys = ids.detach().cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    if keys.ndim != 1 or (len(keys) and not np.issubdtype(keys.dtype, np.integer)):
        raise ValueError(f"ids must be integers (n,), got {keys.dtype} of shape {keys.shape}")
    return np.ascontiguousarray(keys, dtype=np.int64)
