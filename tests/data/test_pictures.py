"""Image files are read as a person sees them, whatever the camera or the program that wrote them."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from as_seen import SEEN, read
from image_files import everything, pixels, write_parquet
from PIL import Image

from robustfeat.data import dataset, fit_square
from robustfeat.runtime.errors import BrokenImageError


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", SEEN)
def test_photographs_are_turned(tmp_path: Path, orientation: int, form: str) -> None:
    array = pixels(1)[0]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photos" / f"turned.{form}"
    path.parent.mkdir()
    Image.fromarray(array).save(path, exif=exif, **({"lossless": True} if form == "webp" else {}))
    expected = SEEN[orientation](array)
    with Image.open(path) as opened:
        for found in (read(path), read(opened), everything(dataset(tmp_path / "photos"))[0]):
            assert np.array_equal(found, expected)
    table = write_parquet(tmp_path / "x.parquet", [Image.open(path)])
    if form == "png":  # what `datasets` writes again has its EXIF
        assert np.array_equal(everything(dataset(table))[0], expected)


def test_the_upright_sides_count(tmp_path: Path) -> None:
    """An image of 8x14 that is held as 14x8: the middle that is cut out is that of the upright one."""
    array = pixels(1, height=8, width=14)[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(array).save(tmp_path / "0.png", exif=exif)
    assert np.array_equal(everything(dataset(tmp_path, image_size=8))[0], SEEN[6](array)[3:11])


def test_damaged_exif_says_nothing() -> None:
    array = pixels(1)[0]
    content = encoded(Image.fromarray(array), "png", exif=b"Exif\0\0nonsense that is no TIFF")
    assert np.array_equal(read(Image.open(io.BytesIO(content))), array)


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_white(tmp_path: Path, kind: str) -> None:
    """The colour c with alpha a on white is c a + 255 (1 - a)."""
    random = np.random.default_rng(0)
    colours, alpha = random.integers(0, 256, (8, 8, 3)), random.integers(0, 256, (8, 8, 1))
    options: dict[str, object] = {}
    if kind in ("RGBA", "LA"):
        colours = colours if kind == "RGBA" else colours[..., :1].repeat(3, 2)
        channels = colours if kind == "RGBA" else colours[..., :1]
        image = Image.fromarray(np.concatenate([channels, alpha], axis=2).astype(np.uint8))
    else:
        # One colour, or one entry of a palette, is transparent.
        index = random.integers(0, 4, (8, 8))
        palette = np.array([[0, 0, 0], [10, 20, 30], [200, 100, 0], [255, 255, 255]])
        if kind == "L":
            palette = palette[:, :1].repeat(3, 1)
        colours, alpha = palette[index], np.where(index == 0, 0, 255)[..., None]
        if kind == "P":
            image = Image.new("P", (8, 8))
            image.putdata(index.flatten().tolist())
            image.putpalette(palette.flatten().tolist())
        else:
            image = Image.fromarray((colours if kind == "RGB" else colours[..., 0]).astype(np.uint8))
        options["transparency"] = (0, 0, 0) if kind == "RGB" else 0
    image.save(tmp_path / "0.png", **options)
    assert Image.open(tmp_path / "0.png").mode == kind
    expected = colours * (alpha / 255) + 255 * (1 - alpha / 255)
    for found in (read(tmp_path / "0.png"), everything(dataset(tmp_path))[0]):
        assert np.abs(found - expected).max() <= 1.01


def test_cmyk() -> None:
    """Light that neither the ink nor the black keeps back."""
    array = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    content = encoded(Image.fromarray(array, "CMYK"), "tiff")
    expected = (255 - array[..., :3].astype(int)) * (255 - array[..., 3:].astype(int)) / 255
    assert np.abs(read(Image.open(io.BytesIO(content))) - expected).max() <= 1.01


DEEP = np.random.default_rng(0).integers(0, 65536, (8, 8), dtype=np.uint16)


@pytest.mark.parametrize("form", ["png", "tiff", "pgm", "jp2"])
def test_sixteen_bits_are_scaled(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"0.{form}"
    if form == "pgm":
        path.write_bytes(b"P5 8 8 65535\n" + DEEP.astype(">u2").tobytes())
    else:
        Image.fromarray(DEEP).save(path, **({"irreversible": False} if form == "jp2" else {}))
    expected = np.rint(DEEP / 65535 * 255)[..., None].repeat(3, 2)
    for found in (read(path), everything(dataset(tmp_path))[0]):
        assert np.array_equal(found, expected)


def tiff(values: np.ndarray, bits: int, photometric: int, sample: int) -> bytes:
    """A grey TIFF without compression, by the specification: header, directory, one strip."""
    data = values.tobytes()
    height, width = values.shape
    offset = 8 + 2 + 10 * 12 + 4
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, offset), (277, 1)]
    entries += [(278, height), (279, len(data)), (339, sample)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + directory + struct.pack("<I", 0) + data


def test_tiff_that_is_zero_where_it_is_white() -> None:
    found = read(Image.open(io.BytesIO(tiff(DEEP.astype("<u2"), 16, 0, 1))))
    assert np.array_equal(found[..., 0], 255 - np.rint(DEEP / 65535 * 255))


def test_floats_are_taken_as_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "0.tiff")
    for found in (read(tmp_path / "0.tiff"), everything(dataset(tmp_path))[0]):
        assert np.abs(found[..., 0] - values * 255).max() <= 0.51


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((8, 8), 200, np.float32), r"floats go from 200 to 200.*only \[0, 1\]"),
        (np.full((8, 8), np.nan, np.float32), "floats go from nan to nan"),
        (np.full((8, 8), -0.5, np.float32), "floats go from -0.5"),
        (np.full((8, 8), 70_000, np.int32), "signed or have 32 bits"),
    ],
    ids=["byte range", "nan", "negative", "32 bits"],
)
def test_values_without_a_white_are_refused_by_name(tmp_path: Path, values: np.ndarray, message: str) -> None:
    Image.fromarray(values).save(tmp_path / "0.tiff")
    with pytest.raises(ValueError, match=rf"0\.tiff.*{message}"):
        read(tmp_path / "0.tiff")
    with pytest.raises(ValueError, match=rf"row 0 \(.*0\.tiff\).*{message}"):
        dataset(tmp_path, image_size=8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb() -> bytes:
    """A PNG of 100 bytes that says it is 30000x30000."""
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("in_memory", [True, False])
def test_bombs_are_named_and_skipped(tmp_path: Path, in_memory: bool, caplog: pytest.LogCaptureFixture) -> None:
    Image.fromarray(pixels(1)[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(bomb())
    with pytest.raises(BrokenImageError, match=r"b\.png.*exceeds limit"):
        read(tmp_path / "b.png")
    with pytest.raises(BrokenImageError, match=r"row 1 \(.*b\.png\).*exceeds limit"):
        dataset(tmp_path).batch(torch.tensor([0, 1]))
    with caplog.at_level(logging.WARNING, "robustfeat"):
        assert len(dataset(tmp_path, on_error="skip", in_memory=in_memory)) == 1
    assert "skipped 1 broken images of 2" in caplog.text


def test_another_size_is_not_broken(tmp_path: Path) -> None:
    for i, side in enumerate((8, 9)):
        Image.fromarray(pixels(1, height=side, width=side)[0]).save(tmp_path / f"{i}.png")
    with pytest.raises(ValueError, match="choose image_size"):
        dataset(tmp_path, on_error="skip")


@pytest.mark.parametrize("size", [(1, 30_000), (30_001, 2)])
def test_long_images_are_cut_before_they_are_scaled(size: tuple[int, int]) -> None:
    """Otherwise 224 pixels on the short side would make millions on the long one, and gigabytes."""
    ramp = np.linspace(0, 255, max(size)).round().astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(ramp[:, None] if size[1] > size[0] else ramp, size[::-1]).copy())
    scaled: list[int] = []
    original = Image.Image.resize
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Image.Image, "resize", lambda self, to, *rest: scaled.append(to[0] * to[1]) or original(self, to, *rest)
        )
        found = np.asarray(fit_square(image.convert("RGB"), 224))
    assert found.shape == (224, 224, 3)
    assert max(scaled) < 20 * 224 * 224
    assert np.abs(found.astype(float) - 127.5).max() <= 1


@pytest.mark.parametrize("size", [(8, 8), (40, 30), (30, 41), (100, 9), (12, 12), (7, 100)])
def test_ordinary_images_have_the_pixels_that_they_had(size: tuple[int, int]) -> None:
    """Scaled whole, and then cut."""
    image = Image.fromarray(pixels(1, height=size[1], width=size[0])[0])
    scale = 8 / min(size)
    whole = image.resize([max(8, round(length * scale)) for length in size], Image.Resampling.BICUBIC)
    left, top = (whole.width - 8) // 2, (whole.height - 8) // 2
    expected = np.asarray(whole)[top : top + 8, left : left + 8]
    assert np.array_equal(np.asarray(fit_square(image, 8)), expected)
