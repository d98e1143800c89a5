"""Storage of a fitted detector or linear head on the disk, as safetensors with a sidecar that describes them."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

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
    """Save a fitted anomaly detector (with its threshold) or linear head atomically; a killed call leaves the folder unchanged.

    Args:
        task: the fitted task.
        folder: the folder to write.
        extractor: the digest of the extractor on whose features it was fitted (`FeatureExtractor.digest`); "" if irrelevant.

    Returns:
        The folder.

    Raises:
        RuntimeError: for an unfitted task.
        TypeError: for other tasks; to store a gallery, save a `FeatureIndex`.
    """
    if not isinstance(task, AnomalyDetector | LinearHead):
        raise TypeError(
            f"task {task.name!r} cannot be saved: only detectors and linear heads; for a gallery, save a FeatureIndex"
        )
    if task.width is None:
        raise RuntimeError(f"{type(task).__name__} is not fitted; call fit first")
    # The width of the features, the same in all parts, stands beside the tensors.
    state = {name: tensor for name, tensor in task.state_dict().items() if name.rpartition(".")[2] != "width"}
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    options = {name: _encoded(getattr(task, name)) for name in inspect.signature(type(task)).parameters}
    facts = {"task": task.name, "options": options, "extractor": extractor, "width": task.width}
    if isinstance(task, AnomalyDetector) and task.scores:
        facts["scores"] = task.scores
    sidecar.write(Path(folder), SIDECAR, "safetensors", lambda path: safetensors.torch.save_file(state, path), facts)
    return Path(folder)


def load_task(folder: str | os.PathLike[str], *, extractor: str | None = None) -> AnomalyDetector | LinearHead:
    """Load a task that `save_task` wrote.

    Args:
        folder: the folder of the task.
        extractor: the digest of the extractor on whose features it must have been fitted; None accepts any.

    Raises:
        ValueError: if it was fitted on another extractor.
        FileNotFoundError: if the folder has no task.
        IntegrityError: if the files differ from what was written.
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
        state = safetensors.torch.load(content)
        if not state:
            raise ValueError("there is nothing that was learnt")
        width = torch.tensor(int(facts.get("width", 0)))  # files that do not say it yet: not known
        parts = [name for name, part in task.named_modules() if isinstance(part, Task)]
        task.load_state_dict(state | {f"{name}.width".lstrip("."): width for name in parts})
    except (ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        raise IntegrityError(f"{str(path / SIDECAR)!r} cannot be used: {error}; fit the task again") from error
    return task


def _encoded(value: Any) -> Any:
    """Return a value for JSON; a threat becomes its norm and eps."""
    return {"norm": value.norm, "eps": str(value.eps)} if isinstance(value, Threat) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return Threat(value["norm"], Eps(value["eps"]))
    return tuple(value) if isinstance(value, list) else value
