"""HEIC and AVIF: read where Pillow or its extension can, else named with the pip line; damaged ones are broken images."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from as_seen import SEEN, read
from image_files import everything
from PIL import Image, features

from robustfeat.data import dataset
from robustfeat.runtime.errors import BrokenImageError


@pytest.mark.parametrize("content", [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"])
def test_heic_without_its_package_gets_the_pip_line(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "0.heic").write_bytes(content)
    for attempt in (lambda: read(tmp_path / "0.heic"), lambda: dataset(tmp_path, image_size=8, on_error="skip")):
        with pytest.raises(ImportError, match=r"HEIC photographs needs pillow_heif: pip install 'robustfeat\[heic\]'"):
            attempt()


def test_heic_photographs(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    array = np.full((64, 64, 3), (200, 30, 90), dtype=np.uint8)
    heif.from_bytes("RGB", (64, 64), array.tobytes()).save(str(tmp_path / "0.heic"), quality=95)
    assert np.abs(read(tmp_path / "0.heic") - array[:8, :8]).max() < 8


@pytest.mark.parametrize("brand", [b"avif", b"heic", b"isom"])
def test_damaged_files_of_the_family_are_broken_images(
    tmp_path: Path, brand: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once there is a reader nobody is told to install one."""
    monkeypatch.setitem(Image.OPEN, "HEIF", Image.OPEN["PNG"])
    monkeypatch.setattr(features, "get_supported", lambda: ["avif"])
    (tmp_path / "0.png").write_bytes(b"\0\0\0\x18ftyp" + brand + b"nothing that follows")
    with pytest.raises(BrokenImageError, match=r"0\.png"):
        read(tmp_path / "0.png")


def test_avif_without_its_reader_gets_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "get_supported", lambda: [])
    (tmp_path / "0.avif").write_bytes(b"\0\0\0\x18ftypavif, which this Pillow does not know")
    with pytest.raises(ImportError, match=r"pip install 'pillow>=11\.3'"):
        read(tmp_path / "0.avif")


@pytest.mark.skipif("avif" not in features.get_supported(), reason="this Pillow has no AVIF")
def test_avif(tmp_path: Path) -> None:
    array = np.full((16, 16, 3), (200, 30, 90), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    array[:8] = (0, 0, 0)
    Image.fromarray(array).save(tmp_path / "0.avif", quality=95, exif=exif)
    expected = SEEN[6](array)
    found = everything(dataset(tmp_path))[0]
    assert np.abs(found[:, [0, 4, 11, 15]].astype(int) - expected[:, [0, 4, 11, 15]]).max() < 10
