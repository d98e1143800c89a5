"""The extent of one search, which is passed with the search, so that searches in several threads do not affect each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustfeat.index.faiss import import_faiss


def checked(index: Any, factory: str, **numbers: int | None) -> Any | None:
    """Return the same as `options`, after checking the numbers.

    Raises:
        ValueError: a number is below 1, or the index does not have it.
    """
    given = {name: value for name, value in numbers.items() if value is not None}
    for name, value in given.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
        if not whole or options(index, **{name: int(value)}) is None:
            raise ValueError(
                f"{name} must be a whole number, at least 1, for an index that has it; got {value!r} for {factory!r}"
            )
    return options(index, **{name: int(value) for name, value in given.items()})


def options(index: Any, *, nprobe: int | None = None, ef_search: int | None = None) -> Any | None:
    """Return FAISS's parameters of a search.

    Args:
        index: a FAISS index.
        nprobe: number of clusters that the search visits.
        ef_search: number of candidates that the search keeps in a graph.

    Returns:
        None if the index has neither; if it has one of them, the other is ignored.
    """
    faiss = import_faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexIDMap | faiss.IndexIDMap2):
        return options(index.index, nprobe=nprobe, ef_search=ef_search)
    if isinstance(index, faiss.IndexPreTransform):
        inner = options(index.index, nprobe=nprobe, ef_search=ef_search)
        return None if inner is None else faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, faiss.IndexRefine):
        inner = options(index.base_index, nprobe=nprobe, ef_search=ef_search)
        return (
            None
            if inner is None
            else faiss.IndexRefineSearchParameters(base_index_params=inner, k_factor=index.k_factor)
        )
    if isinstance(index, faiss.IndexIVF) and nprobe is not None:
        kind = faiss.IVFPQSearchParameters if isinstance(index, faiss.IndexIVFPQ) else faiss.SearchParametersIVF
        return kind(nprobe=nprobe)
    if hasattr(index, "hnsw") and ef_search is not None:
        return faiss.SearchParametersHNSW(efSearch=ef_search)
    return None
