"""The models that are shipped with the library."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from robustfeat.features.model_folder import CARD


def home() -> Path:
    """Return the folder of the shipped models."""
    return Path(str(files("robustfeat.pretrained")))


def folder_of(name: str) -> Path:
    """Return the folder of one shipped model."""
    return home() / name


def models() -> list[str]:
    """Return the names of the published models, which `load` finds without network access."""
    return sorted(path.name for path in home().iterdir() if (path / CARD).is_file())
