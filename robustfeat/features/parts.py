"""Which files weights are: one, or parts with an index, as the Hub's libraries name them; and whether they are as described."""

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
    """Of a file, or of several one after another."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, *paths: Path) -> Self:
        """Of files that are there."""
        return cls(sum(path.stat().st_size for path in paths), sha256(*paths))


@dataclass(frozen=True)
class Weights:
    """What a card says about them.

    file: model.safetensors, or the index of the parts.  bytes, sha256: of all parts one after another.
    dtype: of the numbers in them; empty where it is not known.
    files: where there are parts, each and the index by name; else empty.
    """

    file: str
    bytes: int
    sha256: str
    dtype: str = ""
    files: Mapping[str, FileFacts] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`. Raises IntegrityError for names that are not those of weights, KeyError, TypeError or
        ValueError for anything else."""
        parts = _parts(values["files"]) if "files" in values else {}
        whole = _file_facts(values)
        return cls(str(values["file"]), whole.bytes, whole.sha256, str(values.get("dtype", "")), parts)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
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
    """The files of the weights by name."""
    return weights.files or {WEIGHTS: FileFacts(weights.bytes, weights.sha256)}


def file_fault(path: Path, facts: FileFacts) -> str | None:
    """What is wrong with a file, None if nothing is: its size, then its sha256, against those of the card."""
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != facts.bytes:
        return f"has {size} bytes instead of {facts.bytes}"
    if sha256(path) != facts.sha256:
        return "is damaged: its sha256 is not the one in its card"
    return None


def weights_fault(folder: Path, weights: Weights | None) -> str | None:
    """Which file of a folder's weights is missing, damaged or one too many, and how; None if none is."""
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
    """Whether a file is called as weights, their parts or their index are."""
    return name in (WEIGHTS, INDEX) or PART.fullmatch(name) is not None


def with_tensors(weights: Weights) -> list[str]:
    """The files with tensors, in order."""
    return sorted(weight_files(weights).keys() - {INDEX})


def present(folder: Path) -> set[str]:
    """The files of a folder that are called as weights are."""
    return {path.name for path in folder.iterdir() if is_weights(path.name)}
