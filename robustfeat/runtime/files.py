"""Files that are either complete or absent: written aside, flushed to the disk, then renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robustfeat.runtime.errors import FullDiskError


def sha256(*paths: Path) -> str:
    """Return the hex digest of the content of files, one after another, read in pieces."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process, and one thread of it, hold a folder at a time inside the context; no file is left in the folder."""
    import fcntl  # which only Unix has: loading a model does without

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Raise FullDiskError, with the path and advice, for a full disk inside the context, whichever library reports it."""
    try:
        yield
    except Exception as error:
        if "No space left on device" in str(error) and not isinstance(error, FullDiskError):
            message = (
                f"no space left on the disk for {str(path)!r}; what was there before is intact, free some and go on"
            )
            raise FullDiskError(message) from error
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; on success it replaces `path`, on any error `path` is unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_named(path):
            yield temporary
            temporary.chmod(0o644)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it becomes `path` (which must not exist), on error it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        with full_disk_named(path):
            yield temporary
            temporary.chmod(0o755)
            for file in temporary.iterdir():
                sync(file)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_suffix(path: str | os.PathLike[str], *suffixes: str, what: str) -> Path:
    """Return the path, if its suffix is one of the formats that can be written.

    Args:
        path: the path to check.
        *suffixes: the formats that can be written.
        what: the content of the file, in the plural, for the message.

    Raises:
        ValueError: the suffix is another one; the message names those that can be written.
    """
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise ValueError(
            f"{os.fspath(path)!r}: {what} are written as {' or '.join(suffixes)}, and the name has to end so"
        )
    return target
