"""Which indexes can be joined into one, and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from robustfeat.index.clustered import Clustered
from robustfeat.index.faiss import import_faiss, reason
from robustfeat.index.listed import Listed


class Way(Protocol):
    """How the indexes of a kind are emptied and joined; `empty` and `join` change the index they are given first."""

    @staticmethod
    def takes(index: Any) -> bool: ...

    @staticmethod
    def empty(index: Any) -> None: ...

    @staticmethod
    def join(empty: Any, parts: Sequence[Any], path: Path) -> None: ...


WAYS: tuple[type[Way], ...] = (Clustered, Listed)


def way(index: Any, factory: str) -> type[Way]:
    """How indexes of this kind are joined. Raises ValueError where they cannot be."""
    for found in WAYS:
        if found.takes(index):
            return found
    raise ValueError(
        f"indexes {factory!r} cannot be joined: a graph, or codes packed together, would have to be built anew; "
        "use Flat, PQ or SQ, or IVF with one of them, or add all features to one index"
    )


def learned(index: Any, factory: str) -> bytes:
    """What a FAISS index has learned, without its items: FAISS's own bytes. Takes the memory of the index twice, for a moment."""
    found = way(index, factory)
    faiss = import_faiss()
    try:
        copy = faiss.deserialize_index(faiss.serialize_index(index))  # its clone does not know all transforms
    except RuntimeError as error:
        raise ValueError(f"indexes {factory!r} cannot be joined: {reason(error)}") from error
    found.empty(copy)
    return faiss.serialize_index(copy).tobytes()
