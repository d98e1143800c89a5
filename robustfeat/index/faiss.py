"""Access to FAISS, an optional dependency, with messages of this package."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustfeat.runtime.needed import needed


def import_faiss() -> Any:
    """Return the faiss module.

    Raises:
        ImportError: FAISS is not installed; the message states how to install it.
    """
    with needed("retrieval", "faiss", "'robustfeat[cpu]' or, with a GPU, 'robustfeat[gpu]'"):
        import faiss
    return faiss


def search(index: Any, x: np.ndarray, k: int, options: Any | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and ids (n, k) of a search.

    `faiss.contrib.torch_utils`, which other libraries import, replaces FAISS's search for the whole process by one that takes no
    parameters; FAISS's own is then called `search_numpy`.

    Args:
        index: a FAISS index.
        x: query rows (n, dim).
        k: number of items to find for each row.
        options: FAISS's parameters of this search; None takes those of the index.
    """
    return getattr(index, "search_numpy", index.search)(x, k, params=options)


def reason(error: Exception) -> str:
    """Return FAISS's message without the position in its source."""
    return str(error).rpartition(": ")[2].strip()
