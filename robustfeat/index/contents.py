"""The content of a FAISS index: the indexes that it wraps, and its ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustfeat.index.faiss import import_faiss


def clusters(index: Any) -> Any | None:
    """Return the clustered (IVF) index that an index is, possibly behind transforms; None if it is of another kind."""
    faiss = import_faiss()
    known = isinstance(index, faiss.IndexIVF | faiss.IndexPreTransform)
    return faiss.try_extract_index_ivf(index) if known else None


def levels(index: Any) -> list[Any]:
    """Return an index, the indexes inside its map of ids and its transforms, and last the index that holds the items."""
    faiss = import_faiss()
    found = [index]
    while isinstance(found[-1], faiss.IndexIDMap2 | faiss.IndexPreTransform):
        found.append(faiss.downcast_index(found[-1].index))
    return found


def every_level(index: Any) -> list[Any]:
    """Return the same as `levels`, and also both indexes of one that ranks the hits of another again."""
    faiss = import_faiss()
    found, waiting = [], [index]
    while waiting:
        level = faiss.downcast_index(waiting.pop())
        found.append(level)
        if isinstance(level, faiss.IndexRefine):
            waiting += [level.refine_index, level.base_index]
        elif isinstance(level, faiss.IndexIDMap2 | faiss.IndexPreTransform):
            waiting.append(level.index)
    return found


def complete(index: Any) -> None:
    """Compute the tables that speed up a search of "IVF..,PQ..", if they are missing; FAISS limits their size."""
    faiss = import_faiss()
    inner = faiss.downcast_index(faiss.try_extract_index_ivf(index))
    if isinstance(inner, faiss.IndexIVFPQ) and inner.by_residual and not inner.use_precomputed_table:
        inner.precompute_table()


def resize(index: Any, items: int) -> None:
    """Set the number of items on every level."""
    for level in levels(index):
        level.ntotal = items


def ids(index: Any) -> np.ndarray:
    """Return all ids of a clustered index or of one with a map of ids, int64 (n,), in no particular order."""
    faiss = import_faiss()
    if (found := clusters(index)) is None:
        return faiss.vector_to_array(index.id_map)
    lists = found.invlists
    parts = [
        faiss.rev_swig_ptr(lists.get_ids(i), size).copy() for i in range(lists.nlist) if (size := lists.list_size(i))
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
