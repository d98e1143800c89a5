"""What a model folder says about its weights: the card, the page made from it, and the command that trains it again."""

from robustfeat.card.card import FORMAT, Card
from robustfeat.card.command import train_command

__all__ = ["FORMAT", "Card", "train_command"]
