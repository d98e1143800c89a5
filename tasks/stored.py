"""A fitted detector or linear head on the disk: its tensors as safetensors, and a sidecar that says what they are."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from robustfeat.attacks import Threat
from robustfeat.numerics.eps import Eps
from robustfeat.runtime import sidecar
from robustfeat.runtime.errors import IntegrityError
from robustfeat.tasks import DETECTORS, TASKS
from robustfeat.tasks.base import Task
from robustfeat.tasks.detectors.base import AnomalyDetector
from robustfeat.tasks.linear import LinearHead

SIDECAR = "task.json"


def save_task(task: Task, folder: str | os.PathLike[str], *, extractor: str = "") -> Path:
    """Write a fitted anomaly detector (with its threshold) or linear head; killed half-way, the folder holds what it held before.

    extractor: digest of the extractor whose features it was fitted on (`FeatureExtractor.digest`); "" where it is of no matter.

    Raises RuntimeError for a task that is not fitted, TypeError for one whose state is an index: keep a `FeatureIndex` for it.
    """
    if not isinstance(task, AnomalyDetector | LinearHead):
        raise TypeError(
            f"task {task.name!r} can not be saved: only detectors and linear heads; for a gallery, save a FeatureIndex"
        )
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in task.state_dict().items()}
    if not state:
        raise RuntimeError(f"{type(task).__name__} is not fitted; call fit first")
    options = {name: _encoded(getattr(task, name)) for name in inspect.signature(type(task)).parameters}
    facts = {"task": task.name, "options": options, "extractor": extractor}
    if isinstance(task, AnomalyDetector) and task.scores:
        facts["scores"] = task.scores
    sidecar.write(Path(folder), SIDECAR, "safetensors", lambda path: safetensors.torch.save_file(state, path), facts)
    return Path(folder)


def load_task(folder: str | os.PathLike[str], *, extractor: str | None = None) -> AnomalyDetector | LinearHead:
    """What `save_task` wrote. extractor: the digest it must have been fitted with; ValueError otherwise.

    Raises FileNotFoundError where there is none, IntegrityError where the files are not what was written.
    """
    path = Path(folder)
    facts = sidecar.read(path, SIDECAR)
    if extractor is not None and extractor != facts.get("extractor"):
        theirs = str(facts.get("extractor"))[:12] or "unknown"
        raise ValueError(
            f"the task in {os.fspath(folder)!r} was fitted on another extractor ({theirs}, not {extractor[:12]}); "
            "their features have nothing in common: fit it again"
        )
    content = sidecar.file(path, facts).read_bytes()
    try:
        kind: Any = (DETECTORS if facts["task"] in DETECTORS else TASKS)[facts["task"]]
        task = kind(**{name: _decoded(value) for name, value in facts["options"].items()})
        if not isinstance(task, AnomalyDetector | LinearHead):
            raise ValueError(f"task {facts['task']!r} is no detector and no linear head")
        if facts.get("scores", "") != getattr(task, "scores", ""):
            raise ValueError(f"its scores are on another scale than those of {type(task).__name__} now")
        for name, tensor in safetensors.torch.load(content).items():
            _put(task, name, tensor)
    except (ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise IntegrityError(f"{str(path / SIDECAR)!r} can not be used: {error}; fit the task again") from error
    return task


def _put(task: nn.Module, name: str, tensor: torch.Tensor) -> None:
    """Into the buffer of that name, which exists, empty."""
    owner, _, last = name.rpartition(".")
    module = task.get_submodule(owner)
    if last not in module._buffers:
        raise ValueError(f"{type(task).__name__} has no {name!r}")
    setattr(module, last, tensor)


def _encoded(value: Any) -> Any:
    """As JSON; a threat as its two values."""
    return {"norm": value.norm, "eps": str(value.eps)} if isinstance(value, Threat) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return Threat(value["norm"], Eps(value["eps"]))
    return tuple(value) if isinstance(value, list) else value
