"""The grids that come with the library."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def presets() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def preset(name: str) -> Path:
    """The file of one of them."""
    return _folder() / f"{name}.yaml"


def _folder() -> Path:
    return Path(str(files("robustfeat.bench"))) / "presets"
