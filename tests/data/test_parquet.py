"""Parquet files: what `datasets` reads in them, whoever wrote them, and however large they are."""

from __future__ import annotations

import io
import os
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from huggingface_hub import constants
from image_files import AB, everything, pixels, write_images, write_parquet
from PIL import Image
from pyarrow import parquet as pq

from robustfeat.data import dataset
from robustfeat.data.sources import parquet


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether tables are read, or mapped from a file in the cache, two rows at a time."""
    if request.param == "large":
        monkeypatch.setattr(parquet, "SMALL", 0)
        monkeypatch.setattr(parquet, "BATCH", 2)
    return str(request.param)


def cached() -> list[Path]:
    return sorted(Path(constants.HF_ASSETS_CACHE).rglob("*.arrow"))


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_datasets_reads(tmp_path: Path, size: str, in_memory: bool) -> None:
    """Two files of a split; the same images, labels and names as through `datasets`."""
    for part, labels in enumerate([[0, 1, 1, 0, 1], [1, 0]]):
        write_parquet(tmp_path / f"train-{part}.parquet", pixels(len(labels), seed=part), label=(labels, AB))
    files = [str(tmp_path / f"train-{part}.parquet") for part in (0, 1)]
    expected = datasets.load_dataset("parquet", data_files={"train": files}, split="train")
    found = dataset(tmp_path, in_memory=in_memory)
    assert np.array_equal(everything(found), np.stack([np.asarray(row["img"]) for row in expected]))
    assert found.require_labels().tolist() == expected["label"]
    assert found.classes == tuple(expected.features["label"].names)
    assert len(cached()) == (size == "large")


def test_a_large_table_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "SMALL", 0)
    path = write_parquet(tmp_path / "x.parquet", pixels(3), label=([0, 1, 0], AB))
    first = dataset(path, in_memory=False)
    (file,) = cached()
    before = file.stat().st_mtime_ns
    assert dataset(path, in_memory=False).fingerprint == first.fingerprint
    assert [file.stat().st_mtime_ns for file in cached()] == [before]
    write_parquet(path, pixels(4, seed=1), label=([0, 1, 0, 1], AB))
    changed = dataset(path, in_memory=False)
    assert changed.fingerprint != first.fingerprint
    assert len(cached()) == 2
    assert np.array_equal(everything(changed), pixels(4, seed=1))
    assert np.array_equal(everything(first), pixels(3)), "what is open stays as it was"


def test_a_conversion_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "SMALL", 0)
    path = write_parquet(tmp_path / "x.parquet", pixels(300))
    content = bytearray(path.read_bytes())
    content[100:20_000] = os.urandom(19_900)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.parquet' cannot be read"):
        dataset(path, image="img")
    assert cached() == []


@pytest.mark.parametrize("kind", ["bytes", "large bytes", "paths", "only bytes in a struct"])
def test_tables_that_others_wrote(tmp_path: Path, kind: str, size: str) -> None:
    """Without metadata nobody knows which column has the images, until it is named."""
    encoded = [png(image) for image in pixels(3)]
    write_images(tmp_path / "images", pixels(3))
    column = {
        "bytes": lambda: pa.array(encoded),
        "large bytes": lambda: pa.array(encoded, pa.large_binary()),
        "paths": lambda: pa.array([str(tmp_path / "images" / f"{i}.png") for i in range(3)]),
        "only bytes in a struct": lambda: pa.array([{"bytes": content} for content in encoded]),
    }[kind]()
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"picture": column, "class": pa.array([2, 0, 1], pa.int8())}), path)
    with pytest.raises(ValueError, match=r"no image column among \['picture', 'class'\]"):
        dataset(path)
    found = dataset(path, image="picture", label="class")
    assert np.array_equal(everything(found), pixels(3))
    assert found.require_labels().tolist() == [2, 0, 1]
    assert found.classes == ("0", "1", "2")


def test_columns_of_lists_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    features = datasets.Features(
        {"img": datasets.Image(), "words": datasets.Sequence(datasets.Value("string")), "label": AB}
    )
    rows = {"img": [Image.fromarray(image) for image in pixels(2)], "words": [["a"], ["b", "c"]], "label": [1, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(path))
    assert dataset(path).require_labels().tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"column 'words' .*holds no images: it is list"):
        dataset(path, image="words")


def test_files_of_a_split_with_other_columns_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train-0.parquet", pixels(2), label=([0, 1], AB))
    write_parquet(tmp_path / "train-1.parquet", pixels(2))
    with pytest.raises(ValueError, match=r"cannot be read: .*[Ss]chema"):
        dataset(tmp_path)


def test_rows_are_read_by_several_threads(tmp_path: Path, size: str) -> None:
    path = write_parquet(tmp_path / "x.parquet", pixels(50))
    data = dataset(path, in_memory=False)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    found = data.pixels(order).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(found, pixels(50)[order.numpy()])


@pytest.mark.parametrize("in_memory", [True, False])
def test_files_that_number_classes_differently(tmp_path: Path, size: str, in_memory: bool) -> None:
    """The names are the oracle: each row keeps its own, and a name has one number in every file and split."""
    files = {
        "train-0": (["a", "b"], [0, 1, 1]), "train-1": (["b", "a"], [0, 1]), "test-0": (["b", "c", "a"], [0, 1, 2, -1]),
    }  # fmt: skip
    for seed, (name, (names, labels)) in enumerate(files.items()):
        images = pixels(len(labels), seed=seed)
        write_parquet(tmp_path / f"{name}.parquet", images, label=(labels, datasets.ClassLabel(names=names)))
    with pytest.raises(
        ValueError, match=r"'label' of .* holds -1 in row 3, .* of one of the 3 classes; use on_error='skip'"
    ):
        dataset(tmp_path, "test", in_memory=in_memory)
    train, test = (dataset(tmp_path, split, in_memory=in_memory, on_error="skip") for split in ("train", "test"))
    assert train.classes == ("a", "b", "c"), "those to train on come first"
    assert train.classes == test.classes
    assert [train.classes[label] for label in train.require_labels()] == ["a", "b", "b", "b", "a"]
    assert [test.classes[label] for label in test.require_labels()] == ["b", "c", "a"]
    assert np.array_equal(everything(train), np.concatenate([pixels(3, seed=0), pixels(2, seed=1)]))
