"""Atomic checkpoints: tensors in safetensors, other state in JSON, and a manifest with sha256 digests that is written last."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import atomic_folder, sha256, write_text

MANIFEST = "manifest.json"
_NAME = re.compile(r"^\d{9}$")


class Checkpoint(NamedTuple):
    """The content of a checkpoint.

    Attributes:
        tensors: named groups of tensors (student, optimizer, ...).
        state: JSON values (step, seconds, identity, ...).
    """

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(folder: Path, step: int, checkpoint: Checkpoint, keep: int) -> Path:
    """Write `folder`/<step> atomically, then remove all but the newest checkpoints; an error leaves the older ones untouched.

    Args:
        folder: the folder of all checkpoints of a run.
        step: the optimiser step, which names the checkpoint.
        checkpoint: the content.
        keep: the number of checkpoints to keep.

    Returns:
        The folder of this checkpoint.
    """
    target = folder / f"{step:09d}"
    if target.exists():
        if _is_valid(target):
            return target
        shutil.rmtree(target)
    with atomic_folder(target) as temporary:
        for group, tensors in checkpoint.tensors.items():
            contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
            save_file(contiguous, temporary / f"{group}.safetensors")
        (temporary / "state.json").write_text(json.dumps(checkpoint.state, indent=1), encoding="utf-8")
        digests = {file.name: sha256(file) for file in sorted(temporary.iterdir())}
        write_text(temporary / MANIFEST, json.dumps(digests, indent=1))
    for stale in _all(folder):  # a damaged one that was passed over on resuming must not count as the newest
        if stale.name > target.name:
            shutil.rmtree(stale, ignore_errors=True)
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def read(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        IntegrityError: if a file is missing, surplus or damaged.
    """
    try:
        digests = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        names = set(digests)
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(f"checkpoint {path} has no readable {MANIFEST} ({error})") from error
    present = {file.name for file in path.iterdir()} - {MANIFEST}
    if names != present:
        raise IntegrityError(f"checkpoint {path} has other files than its manifest: {sorted(names ^ present)}")
    for name, digest in digests.items():
        if sha256(path / name) != digest:
            raise IntegrityError(f"checkpoint file {path / name} is damaged: its sha256 is not the one in the manifest")
    try:
        tensors = {Path(n).stem: load_file(path / n) for n in sorted(names) if n.endswith(".safetensors")}
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise IntegrityError(f"checkpoint {path} cannot be read: {error}") from error
    return Checkpoint(tensors, state)


def latest(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the newest valid checkpoint, or None, and the faults of the newer ones that were skipped."""
    problems = []
    for path in reversed(_all(folder)):
        try:
            read(path)
        except IntegrityError as error:
            problems.append(str(error))
            continue
        return path, problems
    return None, problems


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name)) if folder.is_dir() else []


def _is_valid(path: Path) -> bool:
    try:
        read(path)
    except IntegrityError:
        return False
    return True


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser (momentum, moments, counters) as flat tensors, without the recipe's hyper-parameters."""
    return {
        f"{parameter}.{name}": torch.as_tensor(value)
        for parameter, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
        if value is not None
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the tensors of `pack_optimizer` in an optimiser over the same parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split(".", 1)
        parameter = parameters[int(number)]
        if tensor.shape == parameter.shape:
            # In the memory layout of the parameter: a fused step pairs numbers by where they lie, not by their index.
            tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
