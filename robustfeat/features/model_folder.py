"""The files of a model folder and the check that its weights are those that were written."""

from __future__ import annotations

from pathlib import Path

from robustfeat.features.card import Card
from robustfeat.features.parts import weights_fault
from robustfeat.runtime.errors import IntegrityError

CARD, README = "card.json", "README.md"
CONFIG = "config.json"  # for timm; folders of the first version have none


def read_card(folder: Path) -> Card:
    """Read the card of a model folder.

    Raises:
        IntegrityError: if the card is missing or not valid.
    """
    try:
        return Card.from_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{folder / CARD} cannot be read: {error}") from error


def verify(folder: Path, card: Card) -> None:
    """Check that the weights of a folder are those of its card.

    Raises:
        IntegrityError: if a weight file is missing, damaged or surplus.
    """
    if wrong := weights_fault(folder, card.weights):
        raise IntegrityError(f"{wrong}; fetch the model again")
