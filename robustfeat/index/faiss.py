"""FAISS itself: an optional dependency with messages of its own."""

from __future__ import annotations

from typing import Any


def import_faiss() -> Any:
    """The faiss module, or an ImportError that says how to get it."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "retrieval needs FAISS: pip install 'robustfeat[cpu]' or, with a GPU, 'robustfeat[gpu]'"
        ) from error
    return faiss


def reason(error: Exception) -> str:
    """FAISS's message without the place in its source."""
    return str(error).rpartition(": ")[2].strip()
