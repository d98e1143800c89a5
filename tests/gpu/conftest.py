"""The device under test, and trainings on it and on the CPU from images that need no data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from gpu_runs import RECIPE, patterns

from robustfeat.data import MemoryImages
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.random import generator
from robustfeat.objectives import Objective
from robustfeat.testing import small_network
from robustfeat.training import distiller, run
from robustfeat.training.loop import train

DEVICE = os.environ.get("ROBUSTFEAT_TEST_DEVICE", "cuda")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = DEVICE == "cuda" and not torch.cuda.is_available()
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in here:
        item.add_marker(pytest.mark.gpu)
        if missing:
            item.add_marker(pytest.mark.skip(reason="no GPU; ROBUSTFEAT_TEST_DEVICE=cpu rehearses these tests"))


@pytest.fixture
def device() -> str:
    return DEVICE


@pytest.fixture
def data() -> tuple[MemoryImages, MemoryImages]:
    """To learn from and to measure."""
    return patterns(256, 0), patterns(64, 1)


@pytest.fixture(autouse=True)
def _full_float32(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Else convolutions on a GPU round as bfloat16 does, and nothing can be compared."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    yield
    PartialState._reset_state()
    AcceleratorState._reset_state()


Training = Callable[..., Path]


def of_the_cpu(*keys: int, device: torch.device) -> torch.Generator:
    """A generator of the CPU, for whatever device."""
    return generator(*keys)


@pytest.fixture
def training(data: tuple[MemoryImages, MemoryImages], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Training:
    """train(where, objective, folder, ...) on "cpu" or on the device; same_draws: with the numbers of a CPU's generator.

    What is the CPU's is computed without its usual library: where the device is a CPU too, they round differently.
    """
    learnt, measured = data
    monkeypatch.setattr(run, "dataset", lambda name, split, **_: learnt if split == "train" else measured)
    network = small_network(5, "cnn_small")
    monkeypatch.setattr(run, "teacher_of", lambda recipe, objective: (network if objective.needs_teacher else None, {}))

    def go(
        where: str, objective: Objective, folder: str, *, resume: bool = False, same_draws: bool = True, **changes: Any
    ) -> Path:
        monkeypatch.setattr(distiller, "generator", of_the_cpu if same_draws else generator)
        PartialState._reset_state()
        AcceleratorState._reset_state()
        monkeypatch.setenv("ACCELERATE_USE_CPU", str(where == "cpu" or DEVICE == "cpu").lower())
        recipe = Recipe(**{**vars(RECIPE), **changes})
        with torch.backends.mkldnn.flags(enabled=where == "device"):
            train(objective, recipe, tmp_path / folder, resume=resume, quiet=True)
        return tmp_path / folder

    return go
