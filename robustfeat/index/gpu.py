"""Searches on GPUs, where FAISS has some."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from robustfeat.index.faiss import import_faiss, search


class Searcher:
    """Searches a FAISS index: on a copy on all GPUs where there are some and FAISS can clone its kind, else as it is.

    The copy is FAISS's `index_cpu_to_all_gpus`, made here and only of the items that are in the index now. What the GPUs refuse
    (they find at most 2048 items, and some kinds they do not know) the CPU does. No GPU was at hand when this was written:
    it is tested with FAISS's functions replaced, and not measured.

    Args:
        gpus: False leaves the search to the CPU: an index that is larger than memory is no use on a GPU.
    """

    def __init__(self, index: Any, *, gpus: bool = True) -> None:
        self._index = index
        self._copy = None
        faiss = import_faiss()
        if gpus and faiss.get_num_gpus() > 0:
            with contextlib.suppress(RuntimeError):
                self._copy = faiss.index_cpu_to_all_gpus(index)

    def __call__(self, x: np.ndarray, k: int, options: Any | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores and ids (n, k) of rows x (n, dim), as FAISS gives them. options: of this search; those the CPU knows."""
        if self._copy is not None and options is None:
            with contextlib.suppress(RuntimeError):
                return self._copy.search(x, k)
        return search(self._index, x, k, options)
