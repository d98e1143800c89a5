"""This module draws a contact sheet: the images that a search found, in order, each with a caption below it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from robustfeat.data import read_picture
from robustfeat.runtime.errors import BrokenImageError
from robustfeat.runtime.files import atomic_file

SIDE, LINE = 128, 14


def contact_sheet(
    images: Sequence[str | os.PathLike[str]], captions: Sequence[str], path: str | os.PathLike[str], columns: int = 6
) -> None:
    """Write a PNG of images by path, scaled to fit, row by row; a grey square stands for an image that cannot be read."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (SIDE + 4), rows * (SIDE + LINE + 4)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = i % columns * (SIDE + 4) + 2, i // columns * (SIDE + LINE + 4) + 2
        try:
            shown = read_picture(image)
        except (OSError, BrokenImageError):
            shown = Image.new("RGB", (SIDE, SIDE), "lightgrey")
        scale = SIDE / max(shown.size)
        shown = shown.resize([max(1, round(scale * extent)) for extent in shown.size], Image.Resampling.NEAREST)
        sheet.paste(shown, (left + (SIDE - shown.width) // 2, top + (SIDE - shown.height) // 2))
        draw.text((left, top + SIDE + 1), caption[:20], fill="black")
    with atomic_file(Path(path)) as temporary:
        sheet.save(temporary, format="PNG")
