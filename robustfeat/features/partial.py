"""A safetensors file that is filled row by row under a hidden name; after a kill, the next call goes on with what is there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from robustfeat.runtime.files import full_disk_named, sync, write_text

DTYPES = {"<f4": "F32", "<f2": "F16", "<i8": "I64", "|u1": "U8"}  # numpy's names -> those of safetensors


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file.

    Args:
        dtype: the type, one of `DTYPES`.
        shape: the shape, whose first entry is the number of rows.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def row(self) -> int:
        """Bytes per row."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape[1:]))

    @property
    def size(self) -> int:
        """Bytes of the whole tensor."""
        return self.row * self.shape[0]


class PartialFile:
    """The file while it is being filled; `partial_file` opens it.

    Attributes:
        path: its hidden name.
        done: the number of rows that are complete.
    """

    def __init__(
        self,
        path: Path,
        notes: Path,
        file: BinaryIO,
        tensors: Mapping[str, Tensor],
        header: bytes,
        given: Mapping[str, np.ndarray],
        identity: Mapping[str, Any],
    ) -> None:
        self.path, self._notes, self._file, self._tensors = path, notes, file, tensors
        *starts, end = _starts(tensors, len(header))
        self._offsets = dict(zip(tensors, starts, strict=True))
        beginning = hashlib.sha256(header + b"".join(values.tobytes() for values in given.values())).hexdigest()
        self._identity = {**identity, "beginning": beginning}
        self.done = self._resume_at(end)
        if self.done == 0:
            notes.unlink(missing_ok=True)  # notes of another model must not outlive its part
            file.truncate(0)
            self._put(0, header)
            file.truncate(end)
            for name, values in given.items():
                self._put(self._offsets[name], values.tobytes())

    def append(self, **columns: np.ndarray) -> None:
        """Write the next rows of each tensor, and wait until they are on the disk."""
        count = len(next(iter(columns.values())))
        for name, values in columns.items():
            tensor = self._tensors[name]
            self._put(self._offsets[name] + self.done * tensor.row, values.astype(tensor.dtype).tobytes())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done += count
        write_text(self._notes, json.dumps(self._identity | {"done": self.done}))

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return rows of a tensor that are written already."""
        tensor = self._tensors[name]
        self._file.seek(self._offsets[name] + start * tensor.row)
        content = self._file.read((stop - start) * tensor.row)
        return np.frombuffer(content, tensor.dtype).reshape(-1, *tensor.shape[1:])

    def become(self, target: Path) -> None:
        """Give the file its final name."""
        self._file.flush()
        sync(self.path)
        self.path.replace(target)
        sync(target.parent)
        self._notes.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file, whose content is elsewhere."""
        self._notes.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def _resume_at(self, size: int) -> int:
        try:
            found = json.loads(self._notes.read_text(encoding="utf-8"))
            same = {key: found.get(key) for key in self._identity} == self._identity
        except (OSError, ValueError, AttributeError):
            return 0
        return int(found["done"]) if same and self.path.stat().st_size == size else 0

    def _put(self, offset: int, content: bytes) -> None:
        self._file.seek(offset)
        self._file.write(content)


@contextmanager
def partial_file(
    target: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    given: Mapping[str, np.ndarray],
    identity: Mapping[str, Any],
) -> Iterator[PartialFile]:
    """Yield the hidden file beside `target`, complete up to the row where an interrupted call stopped.

    Args:
        target: the final name, which the caller gives it with `become`.
        tensors: name -> tensor, in the order of the file; the types with most bytes per value come first, as readers expect.
        metadata: the metadata of the file.
        given: the content of tensors that are known from the beginning.
        identity: what else, besides all that is above, must be the same for rows to be kept.

    Raises:
        BlockingIOError: another process is writing the same file.
        FullDiskError: there is no space left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path, notes = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.json")
    header = _header(tensors, metadata)
    with full_disk_named(target), os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        _claim(file, path, target)
        yield PartialFile(path, notes, file, tensors, header, given, identity)


def _claim(file: BinaryIO, path: Path, target: Path) -> None:
    """Hold the file for this process alone; a file that another one has renamed since it was opened is finished, and not ours."""
    import fcntl  # which only Unix has: loading a model does without

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise BlockingIOError
    except BlockingIOError as error:
        raise BlockingIOError(f"another process is writing {str(target)!r}; wait for it, or stop it") from error


def _starts(tensors: Mapping[str, Tensor], begin: int) -> list[int]:
    """Return the offset of each tensor, and the end of the last one."""
    return [begin, *(begin + int(end) for end in np.cumsum([tensor.size for tensor in tensors.values()]))]


def _header(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the beginning of a safetensors file: 8 bytes of length, then JSON."""
    starts = _starts(tensors, 0)
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    for (name, tensor), start in zip(tensors.items(), starts[:-1], strict=True):
        offsets = [start, start + tensor.size]
        entries[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
