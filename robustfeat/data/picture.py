"""This module reads an image file as it is displayed: upright, on a white background, as RGB with 8 bits per channel."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from robustfeat.runtime.errors import BrokenImageError
from robustfeat.runtime.needed import needed

ORIENTATION = 0x0112  # a tag of EXIF: how the camera was held
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF, and a value of the second
SIXTEEN_BITS = ("PNG", "PPM")  # formats whose integers of PIL's mode "I" have 16 bits


def read_picture(source: str | os.PathLike[str] | bytes | Image.Image) -> Image.Image:
    """Return the image of a path, of encoded bytes or of a PIL image as RGB; of a file with several images, the first one.

    The image is turned according to its EXIF orientation; transparent pixels are placed on white. Integers of 16 bits (12 if a
    TIFF says so) are scaled by their depth, floats in [0, 1] are taken as they are. Integers of 32 bits, signed integers and
    other floats are refused, since their white level is undefined.

    Raises:
        FileNotFoundError: if the file is missing.
        BrokenImageError: if the image cannot be read.
        ImportError: if a package that reads the format is missing; the message has the pip command.
    """
    try:
        if isinstance(source, Image.Image):
            return _seen(source)
        with _open(source) as opened:
            return _seen(opened)
    except (FileNotFoundError, ImportError, MemoryError):
        raise
    except Exception as error:  # the readers of damaged files raise errors of any kind
        raise BrokenImageError(str(error) or type(error).__name__) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB with 8 bits per channel by the rules of `read_picture`, without turning it.

    Raises:
        BrokenImageError: for values that are refused.
    """
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_grey(image)).convert("RGB")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _open(source: str | os.PathLike[str] | bytes) -> Image.Image:
    file = io.BytesIO(source) if isinstance(source, bytes) else Path(source)
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        brand = _brand(file)
        if brand.startswith(b"avi") and "avif" not in features.get_supported():
            raise ImportError("reading AVIF images needs a newer Pillow: pip install 'pillow>=11.3'") from None
        if not brand.startswith((b"he", b"mif1", b"msf1")) or "HEIF" in Image.OPEN:
            raise  # no image, or damaged
        with needed("reading HEIC photographs", "pillow_heif", "'robustfeat[heic]'"):
            import pillow_heif
        pillow_heif.register_heif_opener()
        return Image.open(file)


def _brand(file: io.BytesIO | Path) -> bytes:
    """Return the brand of an ISO media file (the family of AVIF, HEIC and films); empty for other formats."""
    with io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else file.open("rb") as opened:
        head = opened.read(12)
    return head[8:12] if head[4:8] == b"ftyp" else b""


def _seen(image: Image.Image) -> Image.Image:
    image.load()  # before its EXIF is read, which may stand behind the pixels
    turn = TURNS.get(_orientation(image))
    rgb = to_rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF, of any kind, says nothing; viewers show such an image as it is stored
        return 1


def _grey(image: Image.Image) -> np.ndarray:
    """Return grey levels of more than 8 bits as uint8 (h, w)."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if image.mode == "F":
        white = 1.0
        if not ((values >= 0) & (values <= 1)).all():  # also for NaN
            raise BrokenImageError(
                f"its floats go from {values.min():g} to {values.max():g}, and only [0, 1] says what is black and what white; "
                "scale them, or save 8 or 16 bits"
            )
    elif image.mode == "I" and image.format not in SIXTEEN_BITS:
        raise BrokenImageError(
            "its integers are signed or have 32 bits, so nothing says what is white; save 8 or 16 bits"
        )
    else:
        white = float(2 ** np.ravel(tags.get(BITS_PER_SAMPLE, 16))[0] - 1)
        if image.mode == "I":
            white = float(2**16 - 1)
    levels = (values * (255 / white)).round().astype(np.uint8)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        levels = 255 - levels
    transparent = image.info.get("transparency")
    return levels if transparent is None else np.where(values == transparent, np.uint8(255), levels)
