"""FAISS itself: an optional dependency with messages of its own."""

from __future__ import annotations

from typing import Any

from robustfeat.needed import needed


def import_faiss() -> Any:
    """The faiss module, or an ImportError that says how to get it."""
    with needed("retrieval", "faiss", "'robustfeat[cpu]' or, with a GPU, 'robustfeat[gpu]'"):
        import faiss
    return faiss


def reason(error: Exception) -> str:
    """FAISS's message without the place in its source."""
    return str(error).rpartition(": ")[2].strip()
