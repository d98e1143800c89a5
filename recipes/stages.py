"""What a stage does: it trains its models, or measures all."""

from __future__ import annotations

from recipes import MEASURE, MODELS
from recipes.configuration import Overrides
from recipes.folders import Folders
from recipes.measuring import measure
from recipes.training import train_model


def run(stage: str, folders: Folders, overrides: Overrides, device: str) -> list[str]:
    """Go on with a stage; returns what could not be done, and why. Raises KeyboardInterrupt where the time is over."""
    if stage == MEASURE:
        return measure(folders, overrides, device)
    for name in MODELS[stage]:
        train_model(name, folders, overrides)
    return []
