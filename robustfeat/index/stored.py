"""An index on the disk: FAISS's own file, and a sidecar that describes it and shows whether it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robustfeat.index.faiss import import_faiss, reason
from robustfeat.runtime import sidecar
from robustfeat.runtime.errors import IntegrityError

SIDECAR = "index.json"
TABLES = 1 << 26  # bytes


def write(folder: Path, save: Callable[[Path], None], facts: dict[str, Any]) -> None:
    """Write the index with `save`, and then the sidecar with `facts`."""
    sidecar.write(folder, SIDECAR, "faiss", save, facts)


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of the sidecar.

    Raises:
        FileNotFoundError: there is no sidecar.
        IntegrityError: the sidecar is not what was written.
    """
    return sidecar.read(folder, SIDECAR)


def read_index(folder: Path, facts: dict[str, Any], *, mmap: bool = False) -> Any:
    """Return the FAISS index that belongs to a sidecar; nothing is parsed before its sha256 is checked.

    Args:
        folder: the folder of the index.
        facts: the facts of the sidecar.
        mmap: keep vectors, codes and lists in the file, and read them from there in a search; the system keeps in memory what is
            searched often. In memory are the metadata, and besides: of "IVF..." what it has learned; of "Flat", "PQ", "SQ",
            "HNSW" and others FAISS's map of ids, some 50 bytes an item; of codes that are packed for fast scans ("PQ16x4fs")
            all.

    Raises:
        IntegrityError: the file is missing or damaged, or is not a FAISS index.
    """
    path = sidecar.file(folder, facts)
    try:
        return parse(path, mmap=mmap)
    except (RuntimeError, MemoryError) as error:
        raise IntegrityError(f"{str(path)!r} is no FAISS index: {reason(error)}") from error


def parse(path: Path, *, mmap: bool) -> Any:
    """Return FAISS's reading of a file.

    FAISS would open, for writing, any path that a file names as the place of its lists. With the first flag it does so only in
    the folder of the file, and with these readers, which have no folder, not at all. The tables that the second flag leaves out
    can be larger than the file; `contents.complete` computes them.

    Raises:
        RuntimeError: the file is not a FAISS index.
        MemoryError: the file is not a FAISS index.
    """
    faiss = import_faiss()
    flags = faiss.IO_FLAG_ONDISK_SAME_DIR | faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE
    if mmap:
        flags |= faiss.IO_FLAG_MMAP_IFC
    with _bounded(path.stat().st_size):
        return faiss.read_index(str(path) if mmap else faiss.BufferedIOReader(faiss.FileIOReader(str(path))), flags)


def damaged(path: Path, error: Exception) -> IntegrityError:
    """Return the error for a sidecar that cannot be used."""
    return IntegrityError(f"{str(path)!r} is damaged ({error}); build the index again")


@contextmanager
def _bounded(size: int) -> Iterator[None]:
    """Limit the size of each vector of a file to that of the file: a hostile file must not make FAISS allocate what it claims.

    FAISS applies the same limit to some tables that it derives, and those of an index with few items are larger than its file.
    """
    faiss = import_faiss()
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(max(size, TABLES))
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before)
