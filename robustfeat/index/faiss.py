"""FAISS itself: an optional dependency with messages of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustfeat.runtime.needed import needed


def import_faiss() -> Any:
    """The faiss module, or an ImportError that says how to get it."""
    with needed("retrieval", "faiss", "'robustfeat[cpu]' or, with a GPU, 'robustfeat[gpu]'"):
        import faiss
    return faiss


def search(index: Any, x: np.ndarray, k: int, options: Any | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores and ids (n, k) of rows x (n, dim). options: FAISS's parameters of this search, or None for the index's own.

    `faiss.contrib.torch_utils`, which other libraries import, puts a search of its own in the place of FAISS's for the whole
    process, which takes no parameters; FAISS's is then called `search_numpy`.
    """
    return getattr(index, "search_numpy", index.search)(x, k, params=options)


def reason(error: Exception) -> str:
    """FAISS's message without the place in its source."""
    return str(error).rpartition(": ")[2].strip()
