"""A teacher, and a run that was never interrupted; no test may change them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from short_runs import RECIPE, distil

from robustfeat.training.loop import train


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    recipe = dataclasses.replace(RECIPE, student="cnn_small", max_steps=3)
    return str(train("at", recipe, tmp_path_factory.mktemp("teacher"), quiet=True))


@pytest.fixture(scope="session")
def uninterrupted(teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    distil(teacher, out)
    return out
