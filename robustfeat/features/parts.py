"""The files that hold weights, one file or parts with an index, named as by the Hub's libraries, and their integrity checks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import sha256

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PART = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


@dataclass(frozen=True)
class FileFacts:
    """Size and digest of a file, or of several files one after another.

    Args:
        bytes: the size in bytes.
        sha256: the hexadecimal digest.
    """

    bytes: int
    sha256: str

    @classmethod
    def of(cls, *paths: Path) -> Self:
        """Compute the facts of existing files."""
        return cls(sum(path.stat().st_size for path in paths), sha256(*paths))


@dataclass(frozen=True)
class Weights:
    """What a card records about the files of the weights.

    Args:
        file: model.safetensors, or the index of the parts.
        bytes: the size of all parts one after another.
        sha256: the digest of all parts one after another.
        dtype: the data type of the tensors; empty if it is unknown.
        files: the facts of each part and of the index by file name; empty if the weights are one file.
    """

    file: str
    bytes: int
    sha256: str
    dtype: str = ""
    files: Mapping[str, FileFacts] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read the values that `as_dict` returns.

        Raises:
            IntegrityError: for file names that are not those of weights.
            KeyError, TypeError, ValueError: for any other invalid value.
        """
        parts = _parts(values["files"]) if "files" in values else {}
        whole = _file_facts(values)
        return cls(str(values["file"]), whole.bytes, whole.sha256, str(values.get("dtype", "")), parts)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        values = {"file": self.file, "bytes": self.bytes, "sha256": self.sha256}
        if self.files:
            values |= {"files": {name: dataclasses.asdict(one) for name, one in self.files.items()}}
        return values | ({"dtype": self.dtype} if self.dtype else {})


def _parts(files: object) -> dict[str, FileFacts]:
    if not isinstance(files, dict) or INDEX not in files or len(files) < 2:
        raise IntegrityError(f"the card names no weights in parts with an index, but {str(files)[:200]}")
    for name, one in files.items():
        if not isinstance(one, dict) or not is_weights(name) or name == WEIGHTS:
            raise IntegrityError(f"the card names {name[:200]!r} as a file of weights, which it cannot be")
    return {name: _file_facts(one) for name, one in files.items()}


def _file_facts(values: Mapping[str, Any]) -> FileFacts:
    size, digest = values["bytes"], values["sha256"]
    if not isinstance(size, int) or not isinstance(digest, str):
        raise ValueError(f"{size!r} bytes with sha256 {digest!r}")
    return FileFacts(size, digest)


def weight_files(weights: Weights) -> Mapping[str, FileFacts]:
    """Return the facts of the weight files by file name."""
    return weights.files or {WEIGHTS: FileFacts(weights.bytes, weights.sha256)}


def file_fault(path: Path, facts: FileFacts) -> str | None:
    """Describe what is wrong with a file: its size, then its sha256, compared with the card. Returns None if nothing is wrong."""
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != facts.bytes:
        return f"has {size} bytes instead of {facts.bytes}"
    if sha256(path) != facts.sha256:
        return "is damaged: its sha256 is not the one in its card"
    return None


def weights_fault(folder: Path, weights: Weights | None) -> str | None:
    """Describe the first weight file of a folder that is missing, damaged or surplus. Returns None if there is no such file."""
    if weights is None:
        return f"{folder / WEIGHTS} is not described in the card"
    files = weight_files(weights)
    for name, one in files.items():
        if wrong := file_fault(folder / name, one):
            return f"{folder / name} {wrong}"
    if surplus := sorted(present(folder) - files.keys()):
        return f"{folder / surplus[0]} is no part of these weights: its card does not name it"
    together = FileFacts.of(*[folder / name for name in with_tensors(weights)]) if weights.files else None
    if together not in (None, FileFacts(weights.bytes, weights.sha256)):
        return (
            f"{folder / INDEX} and its parts are not those of the card: bytes and sha256 of all parts together differ"
        )
    return None


def is_weights(name: str) -> bool:
    """Return whether a file name is that of weights, of a part of them or of their index."""
    return name in (WEIGHTS, INDEX) or PART.fullmatch(name) is not None


def with_tensors(weights: Weights) -> list[str]:
    """Return the names of the files that hold tensors, in order."""
    return sorted(weight_files(weights).keys() - {INDEX})


def present(folder: Path) -> set[str]:
    """Return the names of the files in a folder that are named like weights."""
    return {path.name for path in folder.iterdir() if is_weights(path.name)}
