"""This module makes images of any size square."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robustfeat.backbones.architecture import Framing

LONGEST = (
    16  # a longer image, in sides of its shorter one, is cut before it is scaled: one of 1x30000 would take gigabytes
)


def fit_square(image: Image.Image, side: int, framing: Framing | None = None) -> Image.Image:
    """Return an image as a square of `side` pixels.

    Args:
        image: the image, of any size and mode.
        side: pixels per side of the result.
        framing: how to scale and crop; None scales the shorter side to `side` pixels (bicubic) and crops the centre.
    """
    interpolation, fill = ("bicubic", None) if framing is None else (framing.interpolation, framing.fill)
    return _fit(image, side, framing, Image.Resampling[interpolation.upper()], fill)


def fit_mask(mask: Tensor, side: int, framing: Framing | None = None) -> Tensor:
    """Return a mask as a square that matches `fit_square` of its image.

    Args:
        mask: bool (h, w).
        side: pixels per side of the result.
        framing: the framing of the image.

    Returns:
        bool (side, side), by nearest-neighbour interpolation; False in the border that `framing` adds.
    """
    fitted = _fit(Image.fromarray(mask.byte().numpy()), side, framing, Image.Resampling.NEAREST, 0)
    return torch.from_numpy(np.array(fitted)).bool()


def _fit(
    image: Image.Image, side: int, framing: Framing | None, resampling: Image.Resampling, fill: Any
) -> Image.Image:
    if framing is not None:
        return _framed(image, side, framing, resampling, fill)
    if image.size == (side, side):
        return image
    image = _cut(image)
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), resampling).crop((left, top, left + side, top + side))


def _framed(image: Image.Image, side: int, framing: Framing, resampling: Image.Resampling, fill: Any) -> Image.Image:
    """Repeat timm's transforms up to the rounding of each length, because the features of its models depend on it."""
    scaled = math.floor(side / framing.crop_pct)
    if framing.crop_mode == "center":
        image = _cut(image)
        short = min(image.size)
        width, height = (scaled if length == short else int(scaled * length / short) for length in image.size)
    elif framing.crop_mode == "border":
        ratio = max(image.size) / scaled
        width, height = (max(1, round(length / ratio)) for length in image.size)
    else:
        width = height = scaled
    if image.size != (width, height):
        image = image.resize((width, height), resampling)
    if min(image.size) < side:
        paper = Image.new(image.mode, (max(side, width), max(side, height)), fill)
        paper.paste(image, (max(0, side - width) // 2, max(0, side - height) // 2))
        image = paper
    left, top = (round((length - side) / 2) for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _cut(image: Image.Image) -> Image.Image:
    """Crop a very long image to its centre, keeping the same centre pixel, or the same edge between two pixels."""
    limit = LONGEST * min(image.size)
    if max(image.size) <= limit:
        return image
    width, height = (min(length, limit + (length - limit) % 2) for length in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
