"""Splits and their parts: which rows are in them, and what is said of one that is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel
from image_files import AB, everything, pixels, write_images, write_parquet

from robustfeat.data import dataset


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train", range(1297)),
        ("train[:90%]", range(1167)),
        ("train[90%:]", range(1167, 1297)),
        ("test[100:200]", range(100, 200)),
        ("test[:]", range(500)),
        ("test[490:9999]", range(490, 500)),
        (" test[5:] ", range(5, 500)),
    ],
)
def test_splits_are_parts(split: str, rows: range) -> None:
    whole = dataset("digits", split.strip().split("[")[0])
    part = dataset("digits", split)
    assert np.array_equal(everything(part), everything(whole.take(rows)))
    assert torch.equal(part.require_labels(), whole.require_labels()[list(rows)])


def test_tenths_cut_a_split_without_rest() -> None:
    low, high = dataset("digits", "train[:90%]"), dataset("digits", "train[90%:]")
    assert np.array_equal(np.concatenate([everything(low), everything(high)]), everything(dataset("digits")))


@pytest.mark.parametrize("split", ["train[50:50]", "train[90%:10%]", "train[5000:]", "train[:0]"])
def test_an_empty_part_is_refused(split: str) -> None:
    with pytest.raises(ValueError, match="is empty"):
        dataset("digits", split)


@pytest.mark.parametrize(
    "split", ["", "train[", "train[:-5]", "train[a:b]", "train[5]", "train[:1.5%]", "[:5]", "tr ain"]
)
def test_a_split_that_is_not_understood_gets_examples(split: str) -> None:
    with pytest.raises(ValueError, match="write for example 'test'"):
        dataset("digits", split)


def test_a_split_that_is_not_there_gets_the_nearest() -> None:
    with pytest.raises(KeyError, match="unknown split 'tset'; did you mean 'test'"):
        dataset("digits", "tset")


def test_classes_have_the_same_number_in_every_split(tmp_path: Path) -> None:
    for split, classes in {"train": "abc", "test": "c", "validation": "bc"}.items():
        for name in classes:
            write_images(tmp_path / split / name, pixels(2))
    found = {split: dataset(tmp_path, split) for split in ("train", "test", "validation")}
    assert {data.classes for data in found.values()} == {("a", "b", "c")}
    assert found["train"].require_labels().tolist() == [0, 0, 1, 1, 2, 2]
    assert found["test"].require_labels().tolist() == [2, 2]
    assert found["validation"].require_labels().tolist() == [1, 1, 2, 2]


def test_a_split_folder_that_is_not_there_or_empty(tmp_path: Path) -> None:
    for name in "ab":
        write_images(tmp_path / "train" / name, pixels(2))
    with pytest.raises(KeyError, match=r"unknown split 'test'.* Known: train"):
        dataset(tmp_path, "test")
    (tmp_path / "test").mkdir()
    assert len(dataset(tmp_path)) == 4
    with pytest.raises(ValueError, match="the split is empty"):
        dataset(tmp_path, "test")


def test_files_without_splits_are_all_train(tmp_path: Path, by_class: Path) -> None:
    """The same rows as train and as test would measure what is learnt by heart."""
    path = write_parquet(tmp_path / "all.parquet", pixels(4), label=([0, 1, 0, 1], AB))
    assert len(dataset(path, "train[:3]")) == 3
    assert np.array_equal(everything(dataset(path)), pixels(4))
    for source in (path, by_class):
        with pytest.raises(KeyError, match=r"has no splits, so it is all 'train' and has no 'test'.*'train\[80%:\]'"):
            dataset(source, "test")


@pytest.mark.parametrize("in_memory", [True, False])
def test_parts_of_data_that_comes_class_by_class_have_all_classes(tmp_path: Path, in_memory: bool) -> None:
    labels = [0] * 30 + [1] * 10 + [2] * 20
    path = write_parquet(tmp_path / "all.parquet", pixels(60), label=(labels, ClassLabel(num_classes=3)))
    parts = [dataset(path, split, in_memory=in_memory) for split in ("train[:80%]", "train[80%:]")]
    assert [part.require_labels().bincount().tolist() for part in parts] == [[24, 8, 16], [6, 2, 4]]
    assert parts[0].head(24).require_labels().bincount().tolist() == [12, 4, 8]
    together = sorted(image.tobytes() for part in parts for image in everything(part))
    assert together == sorted(image.tobytes() for image in pixels(60)), "a row is missing or in both parts"
    again = dataset(path, "train[80%:]")
    assert np.array_equal(everything(again), everything(parts[1]))
    assert again.require_labels().tolist() == sorted(again.require_labels().tolist()), "not in data order"
    assert np.array_equal(everything(dataset(path)), pixels(60))


def test_mixed_labels_are_cut_in_data_order(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "all.parquet", pixels(6), label=([0, 0, 1, 1, 0, 1], AB))
    assert np.array_equal(everything(dataset(path, "train[:4]")), pixels(6)[:4])
    assert np.array_equal(everything(dataset(path).head(2)), pixels(6)[:2])
