"""Images in memory and from the disk are the same data set, known by its content."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import AB, everything, pixels, write_parquet
from PIL import Image

from robustfeat.data import ImageDataset, MemoryImages, StreamedImages, dataset


@pytest.mark.parametrize("image_size", [None, 5])
def test_streamed_equals_in_memory(by_class: Path, image_size: int | None) -> None:
    memory = dataset(by_class, "train[1:]", image_size=image_size, in_memory=True)
    streamed = dataset(by_class, "train[1:]", image_size=image_size, in_memory=False)
    assert isinstance(memory, MemoryImages)
    assert isinstance(streamed, StreamedImages)
    for choose in (lambda d: d, lambda d: d.head(3), lambda d: d.take([3, 0, 0])):
        one, two = choose(memory), choose(streamed)
        assert len(one) == len(two)
        assert np.array_equal(everything(one), everything(two))
        assert torch.equal(one.require_labels(), two.require_labels())
        assert (one.name, one.classes, one.image_size) == (two.name, two.classes, two.image_size)
        for a, b in zip(one.batches(2), two.batches(2), strict=True):
            assert torch.equal(a.images, b.images)
            assert torch.equal(a.rows, b.rows)
    assert memory.mean_std() == streamed.mean_std()


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_fingerprint_is_that_of_the_content(by_class: Path, in_memory: bool) -> None:
    def load(split: str = "train", **options: object) -> ImageDataset:
        return dataset(by_class, split, in_memory=in_memory, **options)  # type: ignore[arg-type]

    first = load()
    assert load().fingerprint == first.fingerprint
    others = {load("train[:4]").fingerprint, load(image_size=4).fingerprint, first.take([1, 0, 2, 3, 4]).fingerprint}
    image = pixels(1, seed=2)[0]
    image[0, 0, 0] ^= 1
    time.sleep(0.02)
    Image.fromarray(image).save(by_class / "dog" / "0.png")
    others.add(load().fingerprint)
    shutil.move(by_class / "dog" / "1.png", by_class / "cat" / "3.png")
    others.add(load().fingerprint)
    assert len(others | {first.fingerprint}) == 6


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_fingerprint_knows_which_labels(tmp_path: Path, in_memory: bool) -> None:
    path = write_parquet(tmp_path / "x.parquet", pixels(2), one=([0, 1], AB), two=([1, 1], AB))
    assert len({dataset(path, label=name, in_memory=in_memory).fingerprint for name in ("one", "two")}) == 2
