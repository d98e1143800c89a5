"""This module finds the grids that come with the library."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def presets() -> list[str]:
    """Return the names of the grids that come with the library."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def preset(name: str) -> Path:
    """Return the file of the preset with this name."""
    return _folder() / f"{name}.yaml"


def _folder() -> Path:
    return Path(str(files("robustfeat.bench"))) / "presets"
