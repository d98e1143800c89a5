"""Random pictures of every mode, size and orientation against what NumPy makes of their values."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from robustfeat.data import fit_square, read_picture

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
SEEDS = st.integers(0, 10_000)


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """The picture that is meant by what is stored, by the definition of EXIF: where row 0 and column 0 of it are."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)  # 5: the first row is the left side
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
    return np.flip(array, flips[orientation]) if orientation in flips else array


def reread(image: Image.Image, format: str, **options: object) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, format, **options)
    return np.asarray(read_picture(file.getvalue())).astype(int)


def levels(seed: int, *shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@given(SEEDS, SIZES, st.sampled_from(["PNG", "TIFF", "WEBP"]), st.integers(1, 8))
def test_orientation(seed: int, size: tuple[int, int], format: str, orientation: int) -> None:
    array = levels(seed, *size, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    assert (reread(Image.fromarray(array), format, exif=exif, **options) == turned(array, orientation)).all()


@given(SEEDS, SIZES, st.sampled_from(["PNG", "TIFF"]))
def test_grey(seed: int, size: tuple[int, int], format: str) -> None:
    array = levels(seed, *size)
    assert (reread(Image.fromarray(array), format) == array[:, :, None]).all()


@given(SEEDS, SIZES)
def test_two_colours(seed: int, size: tuple[int, int]) -> None:
    array = levels(seed, *size) > 100
    assert (reread(Image.fromarray(array), "PNG") == 255 * array[:, :, None].astype(int)).all()


@given(SEEDS, SIZES, st.sampled_from(["RGBA", "LA"]))
def test_transparency_is_laid_on_white(seed: int, size: tuple[int, int], mode: str) -> None:
    array = levels(seed, *size, len(mode))
    colour, alpha = array[..., :-1].astype(float), array[..., -1:] / 255
    wanted = colour * alpha + 255 * (1 - alpha)
    assert np.abs(reread(Image.fromarray(array, mode), "PNG") - wanted).max() <= 1


@given(SEEDS, SIZES, st.integers(2, 256))
def test_palettes(seed: int, size: tuple[int, int], colours: int) -> None:
    palette = levels(seed, 256, 3)
    array = levels(seed + 1, *size).astype(int) % colours
    image = Image.fromarray(array.astype(np.uint8), "P")
    image.putpalette(palette.tobytes())
    assert (reread(image, "PNG") == palette[array]).all()


@given(SEEDS, SIZES, st.sampled_from(["PNG", "TIFF"]))
def test_sixteen_bits(seed: int, size: tuple[int, int], format: str) -> None:
    array = levels(seed, *size, dtype=np.uint16)
    found = reread(Image.fromarray(array), format)
    assert np.abs(found - array[:, :, None].astype(float) / 257).max() <= 0.5 + 1e-9


@given(SEEDS, st.integers(1, 9), st.integers(1, 9))
def test_floats_are_levels_from_0_to_1(seed: int, height: int, width: int) -> None:
    array = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    assert np.abs(reread(Image.fromarray(array), "TIFF") - 255 * array[:, :, None]).max() <= 0.5 + 1e-3


@given(SEEDS, st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(1, 20))
def test_squares(seed: int, size: tuple[int, int], side: int) -> None:
    """The side is the one asked for, and a picture of one colour stays that, however long it is."""
    colour = tuple(levels(seed, 3).tolist())
    found = np.asarray(fit_square(Image.new("RGB", size, colour), side))
    assert found.shape == (side, side, 3)
    assert (found == colour).all()


@given(st.integers(1, 400), st.booleans(), st.integers(1, 16))
def test_the_middle_is_kept(length: int, upright: bool, side: int) -> None:
    """A white line in the middle of a long black picture is in the middle of the square."""
    long = 2 * length + 1
    array = np.zeros((1, long, 3), np.uint8)
    array[0, length] = 255
    array = array.repeat(2, axis=0) if long > 2 else array
    image = Image.fromarray(array.swapaxes(0, 1).copy() if upright else array)
    found = np.asarray(fit_square(image, side)).astype(float)
    profile = found.sum(axis=2).sum(axis=1 if upright else 0)
    place = (profile * (np.arange(side) + 0.5)).sum() / profile.sum()
    assert abs(place - side / 2) <= 0.5 + 1e-6  # an odd margin is cut on one side
