"""The models that come with the library."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from robustfeat.features.model_folder import CARD


def home() -> Path:
    """The folder that they lie in."""
    return Path(str(files("robustfeat.pretrained")))


def folder_of(name: str) -> Path:
    """Where one of them lies."""
    return home() / name


def models() -> list[str]:
    """Names of the published models, which `load` finds without network."""
    return sorted(path.name for path in home().iterdir() if (path / CARD).is_file())
