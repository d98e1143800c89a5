"""Folders of images mean what they look like: nothing is guessed from the names of files, and nothing is lost without a word."""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from image_files import everything
from PIL import Image, features

from robustfeat.backbones.architecture import Framing
from robustfeat.data import ImageDataset, dataset
from robustfeat.data.folder import images_below


def fill(root: Path, *names: str) -> Path:
    """One image per name; the image says which: its first pixel is the number of the name."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(root / name, format="PNG")
    return root


def numbers(data: ImageDataset) -> list[int]:
    return [int(image[0, 0, 0]) for image in everything(data)]


def test_names_of_files_and_classes_are_no_splits(tmp_path: Path) -> None:
    names = (
        "cat/train_1.png",
        "cat/val.png",
        "dog/test-2.png",
        "dog/x.png",
        "test_dog/validation.png",
        "val-cat/eval.png",
    )
    data = dataset(fill(tmp_path, *names))
    assert data.classes == ("cat", "dog", "test_dog", "val-cat")
    assert data.require_labels().tolist() == [0, 0, 1, 1, 2, 3]
    assert numbers(data) == [0, 1, 2, 3, 4, 5]
    for split in ("test", "val", "validation"):
        with pytest.raises(KeyError, match="has no splits"):
            dataset(tmp_path, split)


def test_any_name_of_a_split(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "train/b/0.png",
        "train/a/0.png",
        "val/c/0.png",
        "extra/b/test.png",
        "extra/b/train.png",
        "test/a/0.png",
    )
    expected = {"train": ([0, 1], [1, 0]), "val": ([2], [2]), "extra": ([1, 1], [3, 4]), "test": ([0], [5])}
    for split, (labels, images) in expected.items():
        data = dataset(tmp_path, split)
        assert data.require_labels().tolist() == labels
        assert data.classes == ("a", "b", "c")
        assert numbers(data) == images
    with pytest.raises(KeyError, match="unknown split 'vall'; did you mean 'val'"):
        dataset(tmp_path, "vall")


def test_folds_number_their_classes_alike(tmp_path: Path) -> None:
    fill(tmp_path, "fold1/b/0.png", "fold1/c/0.png", "fold2/a/0.png", "fold2/c/0.png")
    assert dataset(tmp_path, "fold1").require_labels().tolist() == [1, 2]
    assert dataset(tmp_path, "fold2").require_labels().tolist() == [0, 2]


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("TRAIN", "VAL"), ("training", "testing")])
def test_splits_by_other_names_are_not_taken_for_classes(tmp_path: Path, train: str, test: str) -> None:
    """Otherwise the images to test on would be trained on, as classes of their own."""
    fill(tmp_path, f"{train}/a/0.png", f"{train}/b/0.png", f"{test}/b/0.png")
    for split in {train, train.lower()}:
        assert numbers(dataset(tmp_path, split)) == [0, 1]
    assert dataset(tmp_path, test).require_labels().tolist() == [1]
    if train == "training":
        with pytest.raises(KeyError, match="unknown split 'train'; did you mean 'training'"):
            dataset(tmp_path)


def test_several_splits_without_classes(tmp_path: Path) -> None:
    fill(tmp_path, "train/0.png", "test/0.png", "calibration/0.png", "calibration/1.png")
    for split, found in {"train": [0], "test": [1], "calibration": [2, 3]}.items():
        data = dataset(tmp_path, split)
        assert (numbers(data), data.labels) == (found, None)


def test_a_split_without_classes(tmp_path: Path) -> None:
    fill(tmp_path, "train/a/0.png", "train/b/0.png", "test/0.png", "test/1.png", "cover.png")
    assert dataset(tmp_path).require_labels().tolist() == [0, 1]
    test = dataset(tmp_path, "test")
    assert (len(test), test.labels, test.classes) == (2, None, ())


@pytest.mark.parametrize("names", [("0.png", "1.png"), ("2023/0.png", "2023/1.png"), ("train/0.png", "train/1.png")])
def test_one_folder_has_no_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    data = dataset(fill(tmp_path, *names))
    assert (len(data), data.labels) == (2, None)


def test_a_class_that_only_another_split_tells_from_others(tmp_path: Path) -> None:
    fill(tmp_path, "train/good/0.png", "test/good/0.png", "test/bad/0.png")
    assert dataset(tmp_path).require_labels().tolist() == [1]
    assert dataset(tmp_path, "test").require_labels().tolist() == [0, 1]


def test_classes_are_called_by_their_path(tmp_path: Path) -> None:
    fill(tmp_path / "one", "all/cat/0.png", "all/dog/0.png")
    assert dataset(tmp_path / "one").classes == ("cat", "dog")
    fill(tmp_path / "two", "cat/indoor/0.png", "cat/outdoor/0.png", "dog/indoor/0.png")
    assert dataset(tmp_path / "two").classes == ("cat/indoor", "cat/outdoor", "dog/indoor")


@pytest.mark.parametrize(
    "names",
    [
        ("cat/0.png", "dog/young/0.png"), ("cat/0.png", "1.png"), ("train/cat/0.png", "train/dog/young/0.png"),
        ("train/cat/0.png", "test/all/cat/0.png"), ("train/cat/0.png", "train/0.png"),
    ],
)  # fmt: skip
def test_classes_of_unequal_depth_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"classes of unequal depth .*\.png' and '.*\.png'; put every image right"):
        dataset(fill(tmp_path, *names))


def test_what_may_be_splits_or_classes_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "boat/0.png", "car/0.png", "train/0.png")
    with pytest.raises(ValueError, match=r"has train beside boat, car, .* splits or classes\?"):
        dataset(tmp_path)
    shutil.move(tmp_path, tmp_path.with_name("inner"))
    tmp_path.mkdir()
    shutil.move(tmp_path.with_name("inner"), tmp_path / "train")
    assert dataset(tmp_path).classes == ("boat", "car", "train")


def test_files_come_sorted_by_folder_and_name(tmp_path: Path) -> None:
    names = ("b/10.png", "b/2.png", "a/z.png", "a b/0.png", "B/0.png")
    data = dataset(fill(tmp_path, *names))
    assert data.classes == ("B", "a", "a b", "b")
    assert numbers(data) == [4, 2, 3, 0, 1]
    assert data.require_labels().tolist() == [0, 1, 2, 3, 3]


def test_links_are_followed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = fill(tmp_path / "elsewhere", "cat/0.png", "cat/1.png", "2.png")
    root = fill(tmp_path / "root", "dog/0.png")
    (root / "cat").symlink_to(elsewhere / "cat")
    (root / "dog" / "loop").symlink_to(root)
    (root / "another-dog").symlink_to(root / "dog")
    (root / "dog" / "linked.png").symlink_to(elsewhere / "2.png")
    (root / "dog" / "gone.png").symlink_to(tmp_path / "gone.png")
    with caplog.at_level(logging.WARNING, "robustfeat"):
        data = dataset(root)
    assert data.classes == ("cat", "dog")
    assert data.require_labels().tolist() == [0, 0, 1, 1]
    assert numbers(data) == [0, 1, 0, 2]
    (record,) = caplog.records
    assert "2 links to folders that are read already, 1 links to nothing" in record.getMessage()


def test_what_is_left_out_is_counted_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(
        tmp_path,
        "train/a/0.png",
        "train/b/0.JPG",
        "train/b/.1.png",
        "train/b/2",
        ".git/3.png",
        "4.png",
        "train/a/5.png",
    )
    (tmp_path / "train" / "labels.csv").touch()
    (tmp_path / "train" / "a" / "5.png").write_text("no image")
    assert len(images_below(tmp_path).paths) == 4
    with caplog.at_level(logging.WARNING, "robustfeat"):
        assert len(dataset(tmp_path, on_error="skip", image_size=8)) == 2
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{tmp_path}: skipped 1 broken images of 3, 2 hidden, 1 images beside the splits, 2 of other formats or without a suffix"
    )


@pytest.mark.parametrize("suffix", ["ppm", "pgm", "jp2", "mpo", "avif", "tif", "jfif", "WEBP"])
def test_suffixes(tmp_path: Path, suffix: str) -> None:
    if suffix == "avif" and "avif" not in features.get_supported():
        pytest.skip("this Pillow has no AVIF")
    options = {"jp2": {"irreversible": False}, "WEBP": {"lossless": True}}
    array = np.full((16, 16, 3), 90, np.uint8)
    for name in "ab":
        (tmp_path / name).mkdir()
        image = Image.fromarray(array)
        (image.convert("L") if suffix == "pgm" else image).save(
            tmp_path / name / f"0.{suffix}", **options.get(suffix, {})
        )
    data = dataset(tmp_path)
    assert data.classes == ("a", "b")
    assert np.abs(everything(data).astype(int) - 90).max() <= 2


def test_folders_need_no_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert len(dataset(fill(tmp_path, "a/0.png", "b/0.png"))) == 2


def test_the_fingerprint_knows_the_framing(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/0.png", "b/0.png")
    options = {"image_size": 4, "in_memory": False}
    found = [dataset(folder, framing=framing, **options).fingerprint for framing in (None, Framing(0.9), Framing(0.8))]  # type: ignore[arg-type]
    assert len(set(found)) == 3
