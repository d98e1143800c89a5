"""Which files weights are: one, or parts with an index, as the Hub's libraries name them; and whether they are as described.

What a card says about them is `facts`. "file" is model.safetensors, or the index of the parts; "bytes" and "sha256" are of
all parts one after another; "files" has, where there are parts, bytes and sha256 of each and of the index.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import sha256

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PART = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


def weight_files(facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The files of the weights by name, each with bytes and sha256. IntegrityError for names that are not those of weights."""
    files = facts.get("files")
    if files is None:
        return {WEIGHTS: facts}
    if not isinstance(files, dict) or INDEX not in files or len(files) < 2:
        raise IntegrityError(f"the card names no weights in parts with an index, but {str(files)[:200]}")
    for name, one in files.items():
        if not isinstance(one, dict) or not is_weights(name) or name == WEIGHTS:
            raise IntegrityError(f"the card names {name[:200]!r} as a file of weights, which it can not be")
    return files


def file_fault(path: Path, facts: Mapping[str, Any]) -> str | None:
    """What is wrong with a file, None if nothing is: its size, then its sha256, against bytes and sha256 of the card."""
    if not path.is_file():
        return "is missing"
    size, expected = path.stat().st_size, facts.get("bytes")
    if size != expected:
        return f"has {size} bytes instead of {expected}"
    if sha256(path) != facts.get("sha256"):
        return "is damaged: its sha256 is not the one in its card"
    return None


def weights_fault(folder: Path, facts: Mapping[str, Any]) -> str | None:
    """Which file of a folder's weights is missing, damaged or one too many, and how; None if none is."""
    files = weight_files(facts)
    for name, one in files.items():
        if wrong := file_fault(folder / name, one):
            return f"{folder / name} {wrong}"
    if surplus := sorted(present(folder) - files.keys()):
        return f"{folder / surplus[0]} is no part of these weights: its card does not name it"
    together = facts_of(*[folder / name for name in with_tensors(facts)]) if "files" in facts else {}
    if any(facts.get(key) != value for key, value in together.items()):
        return (
            f"{folder / INDEX} and its parts are not those of the card: bytes and sha256 of all parts together differ"
        )
    return None


def is_weights(name: str) -> bool:
    """Whether a file is called as weights, their parts or their index are."""
    return name in (WEIGHTS, INDEX) or PART.fullmatch(name) is not None


def facts_of(*paths: Path) -> dict[str, Any]:
    """Of files, one after another."""
    return {"bytes": sum(path.stat().st_size for path in paths), "sha256": sha256(*paths)}


def with_tensors(facts: Mapping[str, Any]) -> list[str]:
    """The files with tensors, in order."""
    return sorted(weight_files(facts).keys() - {INDEX})


def present(folder: Path) -> set[str]:
    """The files of a folder that are called as weights are."""
    return {path.name for path in folder.iterdir() if is_weights(path.name)}
