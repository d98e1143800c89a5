"""Reading and writing of tensors: one file, or parts of limited size with an index, laid out as by the Hub's libraries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file
from torch import Tensor

from robustfeat.features.parts import INDEX, WEIGHTS, FileFacts, Weights, present, with_tensors
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import atomic_file, write_text

PATTERN = "model{suffix}.safetensors"
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*[KMGT]B", re.IGNORECASE)
UNLIMITED = 1 << 62


def write_weights(folder: Path, state: Mapping[str, Tensor], max_shard_size: int | str | None = None) -> Weights:
    """Write tensors by name, each file atomically, and remove the earlier weights of the folder.

    Args:
        folder: the model folder.
        state: the tensors by name.
        max_shard_size: bytes of tensors in one file, as a number or as "15MB"; a larger tensor gets a file of its own. With
            None, or if the tensors fit into one file, that file is model.safetensors.

    Returns:
        The facts about the files.

    Raises:
        ValueError: for an invalid size.
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
        files = {name: FileFacts.of(folder / name) for name in (INDEX, *names)}
    for name in present(folder) - {*names, *files}:
        (folder / name).unlink()
    whole = FileFacts.of(*[folder / name for name in names])
    kinds = sorted({str(value.dtype).removeprefix("torch.") for value in state.values() if value.is_floating_point()})
    return Weights(INDEX if files else WEIGHTS, whole.bytes, whole.sha256, ", ".join(kinds), files)


def read_weights(folder: Path, weights: Weights) -> dict[str, Tensor]:
    """Read the tensors by name from files that have been verified.

    Raises:
        IntegrityError: if two parts hold the same tensor.
    """
    state: dict[str, Tensor] = {}
    for name in with_tensors(weights):
        part = load_file(folder / name)
        if twice := sorted(state.keys() & part.keys()):
            raise IntegrityError(f"{folder / name} holds {twice[0]!r}, which another part holds too")
        state |= part
    return state


def _limit(size: int | str) -> int | str:
    """Return a valid size. Raises ValueError for anything else."""
    match = SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    number = float(match[1]) if match else size
    if isinstance(number, str) or not number > 0:
        raise ValueError(f"max_shard_size must be a number of bytes, or a size such as '15MB', above 0; got {size!r}")
    return size
