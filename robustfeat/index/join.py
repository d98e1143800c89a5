"""Which kinds of indexes can be joined into one, and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from robustfeat.index.clustered import Clustered
from robustfeat.index.faiss import import_faiss, reason
from robustfeat.index.listed import Listed


class Way(Protocol):
    """How indexes of one kind are emptied and joined; `empty` and `join` change their first argument."""

    @staticmethod
    def takes(index: Any) -> bool:
        """Return whether an index is of this kind."""

    @staticmethod
    def empty(index: Any) -> None:
        """Remove all items of an index, and keep what it has learned."""

    @staticmethod
    def join(empty: Any, parts: Sequence[Any], path: Path) -> None:
        """Write to `path` the index `empty` with the items of all parts."""


WAYS: tuple[type[Way], ...] = (Clustered, Listed)


def way(index: Any, factory: str) -> type[Way]:
    """Return how indexes of this kind are joined.

    Raises:
        ValueError: they cannot be joined.
    """
    for found in WAYS:
        if found.takes(index):
            return found
    raise ValueError(
        f"indexes {factory!r} cannot be joined: a graph, or codes packed together, would have to be built anew; "
        "use Flat, PQ or SQ, or IVF with one of them, or add all features to one index"
    )


def learned(index: Any, factory: str) -> bytes:
    """Return what a FAISS index has learned, without its items, in FAISS's own bytes.

    This needs twice the memory of the index for a moment.

    Raises:
        ValueError: indexes of this kind cannot be joined.
    """
    found = way(index, factory)
    faiss = import_faiss()
    try:
        copy = faiss.deserialize_index(faiss.serialize_index(index))  # its clone does not know all transforms
    except RuntimeError as error:
        raise ValueError(f"indexes {factory!r} cannot be joined: {reason(error)}") from error
    found.empty(copy)
    return faiss.serialize_index(copy).tobytes()
