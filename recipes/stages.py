"""This module runs a stage, which trains its models, or measures all models."""

from __future__ import annotations

from recipes import MEASURE, MODELS
from recipes.configuration import Overrides
from recipes.folders import Folders
from recipes.measuring import measure
from recipes.training import train_model


def run(stage: str, folders: Folders, overrides: Overrides, device: str) -> list[str]:
    """Start or continue a stage.

    Args:
        stage: one of STAGES.
        folders: the folders below --out.
        overrides: entries that replace those of the files.
        device: the device of measurements.

    Returns:
        What was left out, and why.

    Raises:
        KeyboardInterrupt: if the time is over.
    """
    if stage == MEASURE:
        return measure(folders, overrides, device)
    for name in MODELS[stage]:
        train_model(name, folders, overrides)
    return []
