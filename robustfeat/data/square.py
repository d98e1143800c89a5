"""Images of any mode and size made square RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB with 8 bits a channel; 16-bit grey is scaled, where PIL alone would clip it to white."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def fit_square(image: Image.Image, side: int) -> Image.Image:
    """The shorter side scaled to `side` pixels (bicubic), the middle cut out."""
    if image.size == (side, side):
        return image
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
