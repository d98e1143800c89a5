"""The data from which a network can be built again; it is stored in the card beside the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

Stem = Literal["small", "cifar", "timm"]


@dataclass(frozen=True)
class Framing:
    """How an image of any size becomes the square that a timm model was evaluated with.

    Args:
        crop_pct: side of the square over that of the scaled image; 0.875 scales to 256 pixels for a square of 224.
        interpolation: of timm and PIL: "bicubic", "bilinear", "nearest", "lanczos", "box" or "hamming".
        crop_mode: "center" scales the shorter side and cuts out the middle, "squash" scales both sides, "border" scales the
            longer side and fills the margin.
        fill: RGB of that margin, 0 to 255.

    Raises:
        ValueError: any other value.
    """

    crop_pct: float
    interpolation: str = "bicubic"
    crop_mode: str = "center"
    fill: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        if not 0 < self.crop_pct < math.inf:
            raise ValueError(f"crop_pct must be positive, got {self.crop_pct!r}")
        for name, value, known in (
            ("interpolation", self.interpolation, INTERPOLATIONS),
            ("crop_mode", self.crop_mode, CROP_MODES),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "lanczos", "box", "hamming")
CROP_MODES = ("center", "squash", "border")


@dataclass(frozen=True)
class Architecture:
    """A timm model, adapted to the image size, with its normalisation.

    Args:
        name: a timm architecture, for example "resnet18" (never with a weight tag: an architecture does not name weights).
        stem: "small" is a first convolution of 3x3 with stride 1 that keeps the max-pool; "cifar" is the same without max-pool;
            "timm" is the stem of timm. For vision transformers it is the patch size: 4, 2, and that of timm.
        classes: width of the head.
        image_size: pixels per side.
        mean: mean of each channel, for images in [0, 1].
        std: standard deviation of each channel, for images in [0, 1].
        framing: how an image becomes a square of that side, for models of timm. None scales the shorter side to it (bicubic) and
            cuts out the middle. It is not printed, so that digests of models without framing stay the same.
    """

    name: str
    stem: Stem = "timm"
    classes: int = 10
    image_size: int = 32
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    framing: Framing | None = field(default=None, repr=False)
