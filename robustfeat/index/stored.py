"""An index on the disk: FAISS's own file, and a sidecar that says what it is and how to know that it is whole."""

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
    """Write the index by `save` and, last, the sidecar with `facts`."""
    sidecar.write(folder, SIDECAR, "faiss", save, facts)


def read_facts(folder: Path) -> dict[str, Any]:
    """The sidecar. Raises FileNotFoundError where there is none, IntegrityError where it is not what was written."""
    return sidecar.read(folder, SIDECAR)


def read_index(folder: Path, facts: dict[str, Any], *, mmap: bool = False) -> Any:
    """The FAISS index that belongs to a sidecar; nothing is parsed before its sha256 is right.

    mmap: its vectors, codes and lists stay in the file, and are read from there when they are searched.
    """
    path = sidecar.file(folder, facts)
    try:
        return parse(path, mmap=mmap)
    except (RuntimeError, MemoryError) as error:
        raise IntegrityError(f"{str(path)!r} is no FAISS index: {reason(error)}") from error


def parse(path: Path, *, mmap: bool) -> Any:
    """FAISS's reading of a file. Raises RuntimeError or MemoryError where it is none.

    FAISS would open any path that a file names as the place of its lists, for writing. With the first flag it does so in the
    file's own folder only, and with these readers, which know no folder, not at all. The tables that the second flag leaves out
    can be larger than the file; `contents.complete` makes them.
    """
    faiss = import_faiss()
    flags = faiss.IO_FLAG_ONDISK_SAME_DIR | faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE
    if mmap:
        flags |= faiss.IO_FLAG_MMAP_IFC
    with _bounded(path.stat().st_size):
        return faiss.read_index(str(path) if mmap else faiss.BufferedIOReader(faiss.FileIOReader(str(path))), flags)


def damaged(path: Path, error: Exception) -> IntegrityError:
    """What is raised for a sidecar that cannot be used."""
    return IntegrityError(f"{str(path)!r} is damaged ({error}); build the index again")


@contextmanager
def _bounded(size: int) -> Iterator[None]:
    """No vector of a file can be larger than the file: a hostile one must not make FAISS ask for the memory it claims.

    FAISS holds some tables that it derives to the same limit, and those of an index with few items are larger than its file.
    """
    faiss = import_faiss()
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(max(size, TABLES))
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before)
