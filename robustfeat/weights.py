"""Weights on the disk: one file, or parts of limited size with an index, named and laid out as by the Hub's libraries.

What a card says about them is `facts`. "file" is model.safetensors, or the index of the parts; "bytes" and "sha256" are of
all parts one after another; "files" has, where there are parts, bytes and sha256 of each and of the index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file
from torch import Tensor

from robustfeat.errors import IntegrityError
from robustfeat.files import atomic_file, sha256, write_text

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PATTERN = "model{suffix}.safetensors"
PART = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*[KMGT]B", re.IGNORECASE)
UNLIMITED = 1 << 62


def write_weights(folder: Path, state: Mapping[str, Tensor], max_shard_size: int | str | None = None) -> dict[str, Any]:
    """Write tensors by name, each file whole or not at all; returns the facts. Weights that lay there before are removed.

    max_shard_size: bytes of tensors in one file, as a number or as "15MB"; a larger tensor has a file of its own. None, and
        tensors that fit into one file, make it model.safetensors.
    """
    limit = UNLIMITED if max_shard_size is None else _limit(max_shard_size)
    split = split_torch_state_dict_into_shards(dict(state), filename_pattern=PATTERN, max_shard_size=limit)
    names = list(split.filename_to_tensors)
    for name, keys in split.filename_to_tensors.items():
        with atomic_file(folder / name) as temporary:
            save_file({key: state[key] for key in keys}, temporary, metadata={"format": "pt"})
    files = {}
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")
        files = {name: _facts(folder / name) for name in (INDEX, *names)}
    for name in _present(folder) - {*names, *files}:
        (folder / name).unlink()
    facts = {"file": INDEX if files else WEIGHTS} | _facts(*[folder / name for name in names])
    return facts | ({"files": files} if files else {})


def read_weights(folder: Path, facts: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors by name, of files without a fault; IntegrityError where two parts hold the same tensor."""
    state: dict[str, Tensor] = {}
    for name in _parts(facts):
        part = load_file(folder / name)
        if twice := sorted(state.keys() & part.keys()):
            raise IntegrityError(f"{folder / name} holds {twice[0]!r}, which another part holds too")
        state |= part
    return state


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
    if surplus := sorted(_present(folder) - files.keys()):
        return f"{folder / surplus[0]} is no part of these weights: its card does not name it"
    together = _facts(*[folder / name for name in _parts(facts)]) if "files" in facts else {}
    if any(facts.get(key) != value for key, value in together.items()):
        return (
            f"{folder / INDEX} and its parts are not those of the card: bytes and sha256 of all parts together differ"
        )
    return None


def is_weights(name: str) -> bool:
    """Whether a file is called as weights, their parts or their index are."""
    return name in (WEIGHTS, INDEX) or PART.fullmatch(name) is not None


def _limit(size: int | str) -> int | str:
    """ValueError for what is no size."""
    match = SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    number = float(match[1]) if match else size
    if isinstance(number, str) or not number > 0:
        raise ValueError(f"max_shard_size must be a number of bytes, or a size such as '15MB', above 0; got {size!r}")
    return size


def _facts(*paths: Path) -> dict[str, Any]:
    return {"bytes": sum(path.stat().st_size for path in paths), "sha256": sha256(*paths)}


def _parts(facts: Mapping[str, Any]) -> list[str]:
    """The files with tensors, in order."""
    return sorted(weight_files(facts).keys() - {INDEX})


def _present(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if is_weights(path.name)}
