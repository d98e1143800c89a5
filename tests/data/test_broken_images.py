"""Images that cannot be read: named with file and row, or left out and counted."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import everything, pixels, write_parquet

from robustfeat.data import dataset


@pytest.fixture
def broken(by_class: Path) -> Path:
    """As by_class, with the first file cut off and the fourth replaced by text."""
    cut = by_class / "cat" / "0.png"
    cut.write_bytes(cut.read_bytes()[:60])
    (by_class / "dog" / "0.png").write_text("<html>not found</html>")
    return by_class


@pytest.mark.parametrize("image_size", [None, 8])
def test_a_broken_image_is_named_with_file_and_row(broken: Path, image_size: int | None) -> None:
    with pytest.raises(ValueError, match=r"broken image in .*row 0 \(.*cat/0\.png\).*on_error='skip'"):
        dataset(broken, image_size=image_size)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("image_size", [None, 8])
def test_broken_images_are_skipped_and_counted(
    broken: Path, image_size: int | None, in_memory: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "robustfeat"):
        data = dataset(broken, image_size=image_size, on_error="skip", in_memory=in_memory)
    assert "skipped 2 broken images of 5" in caplog.text
    assert data.require_labels().tolist() == [0, 0, 1]
    assert np.array_equal(everything(data), np.concatenate([pixels(3, seed=1)[1:], pixels(2, seed=2)[1:]]))


def test_a_streamed_broken_image_is_named_when_it_is_read(broken: Path) -> None:
    data = dataset(broken, image_size=8, in_memory=False)
    assert len(data) == 5
    data.batch(torch.tensor([1, 2, 4]))
    with pytest.raises(ValueError, match=r"row 3 \(.*dog/0\.png\)"):
        data.batch(torch.tensor([2, 3]))


def test_a_missing_image_is_named(by_class: Path) -> None:
    data = dataset(by_class, in_memory=False)
    (by_class / "cat" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"row 1 \(.*cat/1\.png\): .*No such file"):
        data.batch(torch.tensor([1]))


def test_a_cell_without_image_is_named(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [pixels(1)[0], None])
    with pytest.raises(ValueError, match=r"broken image in .*x\.parquet', row 1"):
        dataset(path)
    assert len(dataset(path, on_error="skip")) == 1


def test_not_one_image_is_an_error(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [None, None])
    for image_size in (None, 8):
        with pytest.raises(ValueError, match="not one image"):
            dataset(path, on_error="skip", image_size=image_size)
