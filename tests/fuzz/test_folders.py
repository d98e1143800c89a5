"""Random folders of pictures against a plain walk over them: which images there are, and of which class."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from robustfeat import dataset
from robustfeat.data import images_below

NAMES = st.sampled_from(["cat", "dog", "val_1", "Ärger", "a b", "train2", "9", "x.y", "test cat"])
SPLITS = ("train", "test", "val", "Validation")
SUFFIXES = st.sampled_from([".png", ".PNG", ".bmp", ".ppm", ".tif", ".gif"])
JUNK = st.sampled_from(["notes.txt", "Thumbs.db", ".hidden.png", ".DS_Store", "labels.csv", "image"])


@contextmanager
def empty_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def write(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"ppm": "PPM", "tif": "TIFF"}.get(path.suffix[1:].lower(), path.suffix[1:].upper())
    Image.new("RGB", (4, 4), (level,) * 3).save(path, kind)


@st.composite
def classes(draw: st.DrawFn) -> dict[str, list[str]]:
    """Folder -> file names: of two or more classes."""
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    count = st.integers(1, 3)
    return {name: [f"{i}{draw(SUFFIXES)}" for i in range(draw(count))] for name in names}


@given(classes(), st.lists(JUNK, max_size=3), st.sampled_from(["", *SPLITS]))
def test_classes(tree: dict[str, list[str]], junk: list[str], split: str) -> None:
    with empty_folder() as root:
        files = sorted(root.joinpath(split, name, file) for name, files in tree.items() for file in files)
        for level, file in enumerate(files):
            write(file, level)
        for number, name in enumerate(junk):
            files[number % len(files)].parent.joinpath(name).write_bytes(b"no image")
        data = dataset(root, split or "train")
        assert data.classes == tuple(sorted(tree))
        assert data.labels is not None
        assert [data.classes[label] for label in data.labels] == [file.parent.name for file in files]
        assert data.pixels(torch.arange(len(data)))[:, 0, 0, 0].tolist() == list(range(len(files)))


@given(classes(), classes(), st.permutations(SPLITS))
def test_a_class_has_one_number_in_all_splits(
    one: dict[str, list[str]], two: dict[str, list[str]], splits: list[str]
) -> None:
    with empty_folder() as root:
        for split, tree in zip(splits[:2], (one, two), strict=True):
            for name, files in tree.items():
                for file in files:
                    write(root / split / name / file, 0)
        wanted = tuple(sorted({*one, *two}))
        for split, tree in zip(splits[:2], (one, two), strict=True):
            data = dataset(root, split)
            assert data.classes == wanted
            assert data.labels is not None
            assert {wanted[label] for label in data.labels} == set(tree)
            assert len(data) == sum(map(len, tree.values()))


@given(st.lists(st.lists(NAMES, max_size=3), min_size=1, max_size=5), st.data())
def test_listing(folders: list[list[str]], draw: st.DataObject) -> None:
    """Every image once, though folders are linked, even in circles."""
    with empty_folder() as root:
        for number, parts in enumerate(folders):
            write(root.joinpath(*parts, f"{number}.png"), number)
        real = sorted(path for path in root.rglob("*") if path.is_file())
        inside = sorted({root, *(path for path in root.rglob("*") if path.is_dir())})
        for number in range(draw.draw(st.integers(0, 3))):
            place, target = draw.draw(st.sampled_from(inside)), draw.draw(st.sampled_from(inside))
            (place / f"link{number}").symlink_to(target, target_is_directory=True)
        listing = images_below(root)
        assert listing.paths == real
        assert sum(listing.left_out.values()) == sum(path.is_symlink() for path in root.rglob("*"))


@given(st.lists(NAMES, min_size=1, max_size=3), NAMES)
def test_unequal_depth_is_refused(deep: list[str], flat: str) -> None:
    with empty_folder() as root:
        write(root / "train" / flat / "0.png", 0)
        write(root.joinpath("train", "other", *deep, "1.png"), 1)
        with pytest.raises(ValueError, match="unequal depth"):
            dataset(root)


@given(st.integers(0, 4), st.binary(max_size=60), st.sampled_from(["raise", "skip"]))
def test_broken_files(place: int, content: bytes, on_error: str) -> None:
    with empty_folder() as root:
        for level in range(5):
            write(root / "ab"[level % 2] / f"{level}.png", level)
        files = sorted(root.rglob("*.png"))
        whole = [np.asarray(Image.open(file))[0, 0, 0] for file in files]
        files[place].write_bytes(content)
        if on_error == "raise":
            with pytest.raises(ValueError, match=rf"{files[place].name}"):
                dataset(root)
            return
        data = dataset(root, on_error="skip")
        assert data.pixels(torch.arange(4))[:, 0, 0, 0].tolist() == [*whole[:place], *whole[place + 1 :]]
