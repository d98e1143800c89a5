"""A binary file with a JSON file beside it that describes it, and shows whether both are complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import atomic_file, locked, sha256, write_text

FORMAT = 1


def write(folder: Path, name: str, suffix: str, save: Callable[[Path], None], facts: dict[str, Any]) -> None:
    """Write the binary file, named by its digest, and then the sidecar.

    If the process is killed half-way, the folder holds what it held before. When all is written, the file that an earlier
    sidecar named is removed. Several writers put their files in place one after the other, and the last one stays.

    Args:
        folder: the folder of both files; it is made if necessary.
        name: name of the sidecar.
        suffix: suffix of the binary file, without a dot.
        save: writes the binary file to a path, and may use the folder of that path.
        facts: content of the sidecar, JSON values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=f".{name}.") as scratch:
        written = Path(scratch) / "content"
        save(written)
        digest = sha256(written)
        binary = f"{digest[:16]}.{suffix}"
        described = {"format": FORMAT, "file": binary, "sha256": digest} | facts
        with locked(folder):
            before = _file_of(folder, name)
            with atomic_file(folder / binary) as temporary:
                written.replace(temporary)
            write_text(folder / name, json.dumps(described | {"checksum": _checksum(described)}) + "\n")
            if before is not None and before != binary:
                (folder / before).unlink(missing_ok=True)


def read(folder: Path, name: str) -> dict[str, Any]:
    """Return the facts of a sidecar.

    Raises:
        FileNotFoundError: there is no sidecar.
        IntegrityError: the sidecar is not what was written.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{str(folder)!r} holds no {name}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("checksum") != _checksum(found):
            raise ValueError("its checksum is not that of its content")
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r} is not {FORMAT}; use the version that wrote it")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{str(path)!r} is damaged ({error}); make it again") from error
    return found


def file(folder: Path, facts: dict[str, Any]) -> Path:
    """Return the path of the binary file after checking its sha256; nothing is parsed before that.

    Raises:
        IntegrityError: the file is missing, or its sha256 is wrong.
    """
    path = folder / Path(str(facts.get("file"))).name
    if not path.is_file() or sha256(path) != facts.get("sha256"):
        raise IntegrityError(f"{str(path)!r} is missing or damaged; make it again")
    return path


def _file_of(folder: Path, name: str) -> str | None:
    """Return the name of the file that the sidecar in a folder names; None if the sidecar is missing or damaged."""
    try:
        return Path(str(read(folder, name)["file"])).name
    except (FileNotFoundError, IntegrityError):
        return None


def _checksum(described: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
