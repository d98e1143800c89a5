"""Images of every mode and size become square RGB images of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_files import everything, pixels, write_parquet
from PIL import Image

from robustfeat.data import dataset, fit_square


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    images = [Image.fromarray(image).convert(mode) for image in pixels(2)]
    data = dataset(write_parquet(tmp_path / "x.parquet", images))
    found = everything(data)
    assert found.shape == (2, 8, 8, 3)
    assert np.array_equal(found, np.stack([np.asarray(image.convert("RGB")) for image in images]))
    if mode in ("L", "LA", "1"):
        assert (found == found[..., :1]).all()


def test_sizes_that_differ_need_image_size(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [pixels(1)[0], pixels(1, height=9, width=9)[0]])
    with pytest.raises(ValueError, match=r"image 1 of .* is \(9, 9\), others 8x8; choose image_size"):
        dataset(path)
    assert dataset(path, image_size=8).image_size == 8


def test_images_that_are_not_square_need_image_size(tmp_path: Path) -> None:
    wide = pixels(2, height=8, width=14)
    path = write_parquet(tmp_path / "x.parquet", wide)
    with pytest.raises(ValueError, match=r"not square \(14x8\); choose image_size"):
        dataset(path)
    assert np.array_equal(everything(dataset(path, image_size=8)), wide[:, :, 3:11])  # the middle, not scaled


@pytest.mark.parametrize("size", [4, 8, 12])
def test_images_are_scaled(tmp_path: Path, size: int) -> None:
    images = pixels(3)
    data = dataset(write_parquet(tmp_path / "x.parquet", images), image_size=size)
    assert data.image_size == size
    assert np.array_equal(
        everything(data), np.stack([np.asarray(fit_square(Image.fromarray(i), size)) for i in images])
    )
    digits = dataset("digits", "test[:5]", image_size=size)
    assert digits.image_size == size
    assert everything(digits).shape == (5, size, size, 3)
