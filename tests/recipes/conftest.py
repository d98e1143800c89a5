"""Small data, and a folder in which all models have been trained for two steps; tests that change it take a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes import MODELS
from recipes.__main__ import main
from recipes.stand_in import write_data

TINY = Path(__file__).with_name("tiny.yaml")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder, train=80, test=20, side=8)
    return folder


@pytest.fixture
def recipes(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, on the small data."""
    monkeypatch.setenv("ROBUSTFEAT_DATA", "")  # which the command sets
    return lambda *words: main([*map(str, words), "--data", str(data)])


@pytest.fixture(scope="session")
def trained_once(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recipes") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUSTFEAT_DATA", "")
        assert main([*MODELS, "--out", str(out), "--override", str(TINY), "--data", str(data), "--minutes", "5"]) == 0
    return out


@pytest.fixture
def out(trained_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_once, tmp_path / "out"))
