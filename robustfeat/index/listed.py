"""Joins indexes that list their items one after the other, on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robustfeat.index.contents import levels, resize
from robustfeat.index.faiss import import_faiss

KINDS = ("IndexFlat", "IndexFlatIP", "IndexFlatL2", "IndexPQ", "IndexScalarQuantizer")


class Listed:
    """Joins lists of codes: "Flat", "PQ" and "SQ", also behind transforms ("PCA64,Flat").

    The ids of all parts, and FAISS's map of the ids of each, are in memory: some 60 bytes an item.
    """

    @staticmethod
    def takes(index: Any) -> bool:
        """Return whether an index is of this kind."""
        return isinstance(index, import_faiss().IndexIDMap2) and type(levels(index)[-1]).__name__ in KINDS

    @staticmethod
    def empty(index: Any) -> None:
        """Remove all items. FAISS's own reset ends the process where the items are memory-mapped."""
        levels(index)[-1].codes = import_faiss().MaybeOwnedVectorUInt8()
        index.id_map.clear()
        resize(index, 0)

    @staticmethod
    def join(empty: Any, parts: Sequence[Any], path: Path) -> None:
        """Write `empty` with the items of all parts; for a while their codes lie on the disk twice."""
        faiss = import_faiss()
        codes = path.with_suffix(".codes")
        with open(codes, "wb") as file:
            for part in (levels(part)[-1].codes for part in parts):
                if part.size():
                    file.write(faiss.rev_swig_ptr(part.data(), part.size()))
        if codes.stat().st_size:
            mapped = np.memmap(codes, dtype=np.uint8, mode="r")
            nobody = faiss.MaybeOwnedVectorUInt8().owner  # `mapped` is kept alive here, FAISS need not
            levels(empty)[-1].codes = faiss.MaybeOwnedVectorUInt8.create_view(
                faiss.swig_ptr(mapped), mapped.size, nobody
            )
        ids = np.concatenate([faiss.vector_to_array(part.id_map) for part in parts])
        faiss.copy_array_to_vector(ids, empty.id_map)
        resize(empty, len(ids))
        faiss.write_index(empty, str(path))
        codes.unlink()
