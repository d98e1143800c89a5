"""Images of any size made square."""

from __future__ import annotations

from PIL import Image


def fit_square(image: Image.Image, side: int) -> Image.Image:
    """The shorter side scaled to `side` pixels (bicubic), the middle cut out."""
    if image.size == (side, side):
        return image
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
