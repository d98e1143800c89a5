"""An index on the disk: FAISS's own file, and a sidecar that says what it is and how to know that it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from robustfeat.errors import IntegrityError
from robustfeat.files import atomic_file, sha256, write_text
from robustfeat.index.faiss import import_faiss, reason

FORMAT = 1
SIDECAR = "index.json"


def write(folder: Path, index: Any, facts: dict[str, Any]) -> None:
    """Write the index and, last, the sidecar with `facts`: killed half-way, the folder holds what it held before."""
    content = import_faiss().serialize_index(index).tobytes()
    digest = hashlib.sha256(content).hexdigest()
    name = f"{digest[:16]}.faiss"
    with atomic_file(folder / name) as temporary:
        temporary.write_bytes(content)
    before = _file_of(folder)
    described = {"format": FORMAT, "file": name, "sha256": digest} | facts
    write_text(folder / SIDECAR, json.dumps(described | {"checksum": _checksum(described)}) + "\n")
    if before is not None and before != name:
        (folder / before).unlink(missing_ok=True)


def _file_of(folder: Path) -> str | None:
    """The file that the sidecar in a folder names; what else lies there is not ours."""
    try:
        return Path(str(read_facts(folder)["file"])).name
    except (FileNotFoundError, IntegrityError):
        return None


def read_facts(folder: Path) -> dict[str, Any]:
    """The sidecar. Raises FileNotFoundError where there is none, IntegrityError where it is not what was written."""
    path = folder / SIDECAR
    if not path.is_file():
        raise FileNotFoundError(f"{str(folder)!r} holds no index ({SIDECAR})")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("checksum") != _checksum(found):
            raise ValueError("its checksum is not that of its content")
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r} is not {FORMAT}; use the version that wrote it")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from error
    return found


def read_index(folder: Path, facts: dict[str, Any]) -> Any:
    """The FAISS index that belongs to a sidecar; nothing is parsed before its sha256 is right."""
    path = folder / Path(str(facts.get("file"))).name
    if not path.is_file() or sha256(path) != facts.get("sha256"):
        raise IntegrityError(f"{str(path)!r} is missing or damaged; build the index again")
    with _bounded(path.stat().st_size):
        try:
            return import_faiss().deserialize_index(np.fromfile(path, dtype=np.uint8))
        except RuntimeError as error:
            raise IntegrityError(f"{str(path)!r} is no FAISS index: {reason(error)}") from error


def damaged(path: Path, error: Exception) -> IntegrityError:
    """What is raised for a sidecar that can not be used."""
    return IntegrityError(f"{str(path)!r} is damaged ({error}); build the index again")


def _checksum(described: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


@contextmanager
def _bounded(size: int) -> Iterator[None]:
    """No vector of a file can be larger than the file: a hostile one must not make FAISS ask for the memory it claims."""
    faiss = import_faiss()
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(size)
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before)
