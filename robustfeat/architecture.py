"""What it takes to build a network again: pure data, travels in the card beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stem = Literal["small", "cifar", "timm"]


@dataclass(frozen=True)
class Architecture:
    """A timm model, adapted to the image size, with its normalisation.

    name: a timm architecture, for example "resnet18" (never with weights; those are loaded by name elsewhere).
    stem: "small" = first convolution 3x3 stride 1, max-pool kept; "cifar" = the same without max-pool; "timm" = as is.
        Vision transformers read it as patch size: 4, 2, and their own.
    classes: width of the head.  image_size: pixels per side.  mean, std: per channel, for images in [0, 1].
    """

    name: str
    stem: Stem = "timm"
    classes: int = 10
    image_size: int = 32
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
