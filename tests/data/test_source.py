"""Every source gives the same kind of data set, and what cannot be one is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from datasets import ClassLabel, Value
from image_files import AB, everything, pixels, write_images, write_parquet
from sklearn.datasets import load_digits

from robustfeat.data import dataset


def test_digits_are_those_of_scikit_learn() -> None:
    train, test = dataset("digits"), dataset("digits", "test")
    assert (len(train), len(test)) == (1297, 500)
    assert train.image_size == 8
    assert train.classes == tuple("0123456789")
    both = np.concatenate([everything(train), everything(test)])
    assert (both == both[..., :1]).all()
    labels = torch.cat([train.require_labels(), test.require_labels()]).tolist()
    found = sorted(zip([grey.tobytes() for grey in both[..., 0]], labels, strict=True))
    digits = load_digits()
    grey = np.rint(digits.images * 255 / 16).astype(np.uint8)
    assert found == sorted(zip([image.tobytes() for image in grey], digits.target.tolist(), strict=True))


@pytest.mark.parametrize(("name", "near"), [("digit", "digits"), ("cifar-10", "cifar10"), ("cifar1000", "cifar100")])
def test_an_unknown_name_gets_the_nearest(name: str, near: str) -> None:
    with pytest.raises(KeyError, match=f"unknown data set '{name}'; did you mean '{near}'"):
        dataset(name)


@pytest.mark.parametrize("name", ["/no/such/folder", "./none", "~/none-at-all", "none.parquet"])
def test_a_path_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        dataset(name)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither parquet files nor images"):
        dataset(tmp_path)


def test_classes_are_folders(by_class: Path) -> None:
    data = dataset(by_class)
    assert data.classes == ("cat", "dog")
    assert data.require_labels().tolist() == [0, 0, 0, 1, 1]
    assert np.array_equal(everything(data), np.concatenate([pixels(3, seed=1), pixels(2, seed=2)]))


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    write_images(tmp_path / "a[1]*" / "x", pixels(2))
    write_images(tmp_path / "a[1]*" / "y", pixels(2))
    assert len(dataset(tmp_path / "a[1]*")) == 4
    write_parquet(tmp_path / "b[1]" / "train.parquet", pixels(3))
    assert len(dataset(tmp_path / "b[1]")) == 3


def test_images_without_classes(tmp_path: Path) -> None:
    write_images(tmp_path / "plain", pixels(3))
    data = dataset(tmp_path / "plain")
    assert data.labels is None
    assert data.classes == ()
    with pytest.raises(ValueError, match="has no labels"):
        data.require_labels()


def test_parquet_as_cifar_has_it(tmp_path: Path) -> None:
    write_parquet(tmp_path / "plain_text/train-00000-of-00002.parquet", pixels(3), label=([0, 1, 1], AB))
    write_parquet(tmp_path / "plain_text/train-00001-of-00002.parquet", pixels(2, seed=1), label=([1, 0], AB))
    write_parquet(tmp_path / "plain_text/test-00000-of-00001.parquet", pixels(2, seed=2), label=([1, 1], AB))
    train, test = dataset(tmp_path), dataset(tmp_path, "test")
    assert train.classes == test.classes == ("a", "b")
    assert train.require_labels().tolist() == [0, 1, 1, 1, 0]
    assert np.array_equal(everything(train), np.concatenate([pixels(3), pixels(2, seed=1)]))
    assert np.array_equal(everything(test), pixels(2, seed=2))
    for split in ("t", "tes", "validation"):
        with pytest.raises(KeyError, match=r"unknown split .* Known: test, train"):
            dataset(tmp_path, split)


def test_the_data_folder_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTFEAT_DATA", str(tmp_path))
    write_parquet(tmp_path / "cifar10" / "train-0.parquet", pixels(3), label=([1, 0, 1], AB))
    data = dataset("cifar10", "train[:2]")
    assert (data.name, data.require_labels().tolist()) == ("cifar10", [1, 0])
    assert np.array_equal(everything(data), pixels(2))


def test_fine_labels_are_those_of_cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTFEAT_DATA", str(tmp_path))
    columns = {"fine_label": ([2, 0], ClassLabel(num_classes=3)), "coarse_label": ([1, 0], AB)}
    write_parquet(tmp_path / "cifar100" / "train-0.parquet", pixels(2), **columns)
    assert dataset("cifar100").require_labels().tolist() == [2, 0]
    with pytest.raises(ValueError, match=r"several label columns, \['fine_label', 'coarse_label'\].*label="):
        dataset(tmp_path / "cifar100")
    assert dataset(tmp_path / "cifar100", label="coarse_label").classes == ("a", "b")
    with pytest.raises(KeyError, match="unknown label column 'coarse'; did you mean 'coarse_label'"):
        dataset(tmp_path / "cifar100", label="coarse")


def test_a_column_of_numbers_is_a_label_when_named(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", pixels(3), number=([2, 0, 2], Value("int16")))
    assert dataset(path).labels is None
    data = dataset(path, label="number")
    assert data.require_labels().tolist() == [2, 0, 2]
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("values", "feature"),
    [([0, None, 1], AB), ([0.5, 1, 2], Value("float32")), (["x", "y", "x"], Value("string"))],
    ids=["missing", "fractions", "words"],
)
def test_labels_that_are_not_class_numbers_are_refused(tmp_path: Path, values: list[object], feature: object) -> None:
    path = write_parquet(tmp_path / "x.parquet", pixels(3), y=(values, feature))
    with pytest.raises(ValueError, match=r"label column 'y'.* class number per row"):
        dataset(path, label="y")


def test_columns_without_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    datasets.Dataset.from_dict({"a": [1, 2]}).to_parquet(str(path))
    with pytest.raises(ValueError, match=r"no image column among \['a'\].*image="):
        dataset(path)
    with pytest.raises(ValueError, match=r"column 'a' .*holds no images"):
        dataset(path, image="a")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [], label=([], AB))
    with pytest.raises(ValueError, match=r"x\.parquet.* the split is empty"):
        dataset(path)


@pytest.mark.parametrize("keep", [0, 4, 200, -20])
def test_a_truncated_table_is_named(tmp_path: Path, keep: int) -> None:
    path = write_parquet(tmp_path / "x.parquet", pixels(3))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"x\.parquet' cannot be read"):
        dataset(path)
