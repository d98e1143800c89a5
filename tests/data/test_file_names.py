"""Each image's file name goes where the image goes: the image tells by its first pixel which file it was in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from image_files import write_parquet
from mvtec_folder import write_mvtec
from PIL import Image

from robustfeat.data import ImageDataset, MemoryImages, dataset, with_label_noise, with_outliers


def first_pixels(data: ImageDataset) -> list[int]:
    return data.pixels(torch.arange(len(data)))[:, 0, 0, 0].tolist()


def assert_theirs(data: ImageDataset) -> None:
    assert data.files is not None
    assert len(data.files) == len(data)
    assert [np.asarray(Image.open(file))[0, 0, 0] for file in data.files] == first_pixels(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("b/ö ä.png", "b/1.png", "a/z.png", "a/y.png", "c/0.png", "c/1.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(tmp_path / name)
    return tmp_path


SELECTIONS: dict[str, Callable[[ImageDataset], ImageDataset]] = {
    "all": lambda data: data,
    "take": lambda data: data.take([4, 0, 4, -1]),
    "mask": lambda data: data.take(np.arange(6) % 2 == 0),
    "twice": lambda data: data.take(slice(None, None, -1)).take(slice(2)),
    "head": lambda data: data.head(3),
    "shots": lambda data: data.shots(1, seed=1),
    "numbered": lambda data: data.numbered_as(("c", "x", "b", "a")).take([5, 1]),
    "noise": lambda data: with_label_noise(data, 1.0).take([3]),
    "outliers": lambda data: with_outliers(data.take([1, 2]), data.take([5, 0])).take([3, 0, 2]),
}


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("name", SELECTIONS)
def test_of_a_folder(folder: Path, name: str, in_memory: bool) -> None:
    assert_theirs(SELECTIONS[name](dataset(folder, in_memory=in_memory)))


def test_a_part_at_another_size_without_broken_images(folder: Path) -> None:
    (folder / "b" / "broken.png").write_bytes(b"no image")
    data = dataset(folder, "train[:80%]", image_size=4, on_error="skip")
    assert len(data) == 5
    assert_theirs(data)


def test_of_mvtec(tmp_path: Path) -> None:
    assert_theirs(dataset(write_mvtec(tmp_path), "test"))


def test_of_tables(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((8, 8, 3), i, np.uint8)) for i in range(3)]
    bare = write_parquet(tmp_path / "bare.parquet", pictures)
    assert dataset(bare).files is None
    rows = [{"bytes": None, "path": f"{tmp_path}/{i}.png"} for i in range(3)]
    for picture, row in zip(pictures, rows, strict=True):
        picture.save(row["path"])
        row["bytes"] = Path(row["path"]).read_bytes()
    table = datasets.Dataset.from_list([{"img": row} for row in rows])
    table.cast_column("img", datasets.Image()).to_parquet(str(tmp_path / "named.parquet"))
    named = dataset(tmp_path / "named.parquet", "train[1:]")
    assert named.files is not None
    assert [Path(file).name for file in named.files] == ["1.png", "2.png"]


def test_data_without_files() -> None:
    digits = dataset("digits", "test[:20]")
    assert digits.files is None
    assert digits.take([1]).files is None
    assert with_outliers(digits, digits).files is None
    with pytest.raises(ValueError, match="2 images but 1 file names"):
        MemoryImages("m", torch.zeros(2, 3, 4, 4).byte(), None, files=("a",))
