"""What lies in a model folder, and whether it is what was written there."""

from __future__ import annotations

from pathlib import Path

from robustfeat.card import Card
from robustfeat.errors import IntegrityError
from robustfeat.files import sha256

WEIGHTS, CARD, README = "model.safetensors", "card.json", "README.md"
CONFIG = "config.json"  # for timm; folders of the first version have none


def read_card(folder: Path) -> Card:
    """The card of a model folder."""
    try:
        return Card.from_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{folder / CARD} can not be read: {error}") from error


def weights_fault(path: Path, card: Card) -> str | None:
    """What is wrong with a file of weights, None if nothing is: its size, then its sha256, against the card."""
    if not path.is_file():
        return "is missing"
    size, expected = path.stat().st_size, card.weights.get("bytes")
    if size != expected:
        return f"has {size} bytes instead of {expected}"
    if sha256(path) != card.weights.get("sha256"):
        return "is damaged: its sha256 is not the one in its card"
    return None


def verify(folder: Path, card: Card) -> None:
    """Raise IntegrityError where the weights of a folder are not those of its card."""
    fault = weights_fault(folder / WEIGHTS, card)
    if fault:
        raise IntegrityError(f"{folder / WEIGHTS} {fault}; fetch the model again")
