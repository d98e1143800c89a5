"""The description of a model in its folder: the card, the page generated from it, and the command that trains the model again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.features.card.card import FORMAT, UNTRAINED, Card
    from robustfeat.features.card.command import train_command
    from robustfeat.features.card.made import Fixture, HeadAccuracy, ModelRef, Training

__all__ = ["FORMAT", "UNTRAINED", "Card", "Fixture", "HeadAccuracy", "ModelRef", "Training", "train_command"]

attach(__name__)
