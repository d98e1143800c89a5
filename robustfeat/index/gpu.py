"""Searches on GPUs, if FAISS has any."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from robustfeat.index.faiss import import_faiss, search


class Searcher:
    """Searches a FAISS index: on a copy on all GPUs if there are any and FAISS can clone its kind, otherwise on the index itself.

    The copy is FAISS's `index_cpu_to_all_gpus`, made here and only of the items that are in the index now. What the GPUs refuse
    (they find at most 2048 items, and do not support some kinds) is searched on the CPU. No GPU was available when this was
    written: it is tested with FAISS's functions replaced, and not measured.

    Args:
        index: a FAISS index.
        gpus: False leaves the search to the CPU: an index that is larger than memory cannot be copied to a GPU.
    """

    def __init__(self, index: Any, *, gpus: bool = True) -> None:
        self._index = index
        self._copy = None
        faiss = import_faiss()
        if gpus and faiss.get_num_gpus() > 0:
            with contextlib.suppress(RuntimeError):
                self._copy = faiss.index_cpu_to_all_gpus(index)

    def __call__(self, x: np.ndarray, k: int, options: Any | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and ids (n, k) of rows x (n, dim), as FAISS gives them; with FAISS's `options` the CPU searches."""
        if self._copy is not None and options is None:
            with contextlib.suppress(RuntimeError):
                return self._copy.search(x, k)
        return search(self._index, x, k, options)
