"""What lies in a model folder, and whether it is what was written there."""

from __future__ import annotations

from pathlib import Path

from robustfeat.features.card import Card
from robustfeat.features.parts import weights_fault
from robustfeat.runtime.errors import IntegrityError

CARD, README = "card.json", "README.md"
CONFIG = "config.json"  # for timm; folders of the first version have none


def read_card(folder: Path) -> Card:
    """The card of a model folder."""
    try:
        return Card.from_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{folder / CARD} cannot be read: {error}") from error


def verify(folder: Path, card: Card) -> None:
    """Raise IntegrityError where the weights of a folder are not those of its card."""
    if wrong := weights_fault(folder, card.weights):
        raise IntegrityError(f"{wrong}; fetch the model again")
