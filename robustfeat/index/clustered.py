"""Joins clustered indexes on the disk: list by list, the items of one index after those of the other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robustfeat.index.contents import levels, resize
from robustfeat.index.faiss import import_faiss

KINDS = ("IndexIVFFlat", "IndexIVFPQ", "IndexIVFScalarQuantizer")  # whose items lie in the lists, and nothing elsewhere


class Clustered:
    """Joins clustered indexes: IVF with "Flat", "PQ" or "SQ", also behind transforms ("PCA64,IVF256,Flat").

    The result is an ordinary index file, as FAISS writes it (`index_write.cpp`, inverted lists "ilar"), and not FAISS's
    `OnDiskInvertedLists`: these lie in a second file that the first one names, and FAISS would open any file that is named.
    """

    @staticmethod
    def takes(index: Any) -> bool:
        """Return whether an index is of this kind."""
        faiss = import_faiss()
        inner = levels(index)[-1]
        return (
            type(inner).__name__ in KINDS
            and type(faiss.downcast_InvertedLists(inner.invlists)) is faiss.ArrayInvertedLists
            and not isinstance(index, faiss.IndexIDMap2)
        )

    @staticmethod
    def empty(index: Any) -> None:
        """Remove all items. FAISS's own reset ends the process where the items are memory-mapped."""
        inner = levels(index)[-1]
        lists = import_faiss().ArrayInvertedLists(inner.nlist, inner.code_size)
        lists.this.disown()
        inner.replace_invlists(lists, True)
        resize(index, 0)

    @staticmethod
    def join(empty: Any, parts: Sequence[Any], path: Path) -> None:
        """Write `empty` with the items of all parts; no more is in memory than what the parts themselves hold there."""
        faiss = import_faiss()
        inner = levels(empty)[-1]
        shape = struct.pack("=4sQQ", b"ilar", inner.nlist, inner.code_size)
        lists = [levels(part)[-1].invlists for part in parts]
        sizes = [sum(part.list_size(i) for part in lists) for i in range(inner.nlist)]
        resize(empty, sum(sizes))
        content = faiss.serialize_index(empty).tobytes()
        before, nothing, after = content.rpartition(shape + struct.pack("=4sQ", b"sprs", 0))
        if not nothing:
            raise RuntimeError("this version of FAISS writes clustered indexes in a way that is not known here")
        with open(path, "wb") as file:
            file.write(before + shape + struct.pack(f"=4sQ{len(sizes)}Q", b"full", len(sizes), *sizes))
            for i in range(inner.nlist):
                filled = [part for part in lists if part.list_size(i)]
                for part in filled:
                    file.write(faiss.rev_swig_ptr(part.get_codes(i), part.list_size(i) * part.code_size))
                for part in filled:
                    file.write(faiss.rev_swig_ptr(part.get_ids(i), part.list_size(i)))
            file.write(after)
