"""Features in a file: the right ones, in data order, and an interrupted call goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_extraction import another, noise_images, run
from safetensors import safe_open
from safetensors.torch import load_file

from robustfeat.data import MemoryImages
from robustfeat.features.extraction import extract
from robustfeat.features.extractor import FeatureExtractor

N = 23


@pytest.fixture
def data() -> MemoryImages:
    return noise_images(N)


def assert_right(out: Path, extractor: FeatureExtractor, data: MemoryImages) -> None:
    found = load_file(out)
    assert found.keys() == {"features", "labels", "rows"}
    assert np.allclose(found["features"].numpy(), extractor.transform(data), atol=1e-5)
    assert found["features"].dtype == torch.float32
    assert found["labels"].tolist() == data.require_labels().tolist()
    assert found["rows"].tolist() == list(range(len(data)))
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("size", [7, 23, 1000])
def test_the_content(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, size: int) -> None:
    out = tmp_path / "deep" / "features.safetensors"
    assert run(extractor, data, out, size=size) == -(-N // size)
    assert_right(out, extractor, data)
    with safe_open(out, "np") as file:
        metadata = file.metadata()
    assert {key: metadata[key] for key in ("model", "sha256", "data", "fingerprint")} == {
        "model": "untrained",
        "sha256": "None",
        "data": "noise",
        "fingerprint": data.fingerprint,
    }


@pytest.mark.parametrize("stop", [0, 1, 3, 5])
def test_it_goes_on_where_it_was(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, stop: int) -> None:
    whole, out = tmp_path / "whole" / "f.safetensors", tmp_path / "cut" / "f.safetensors"
    run(extractor, data, whole)
    assert run(extractor, data, out, stop=stop) == stop
    assert not out.exists()
    assert run(extractor, data, out) == 6 - stop
    assert out.read_bytes() == whole.read_bytes()
    assert_right(out, extractor, data)


def test_it_goes_on_after_many_kills(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    for _ in range(5):
        assert run(extractor, data, tmp_path / "f.safetensors", stop=1) == 1
    assert run(extractor, data, tmp_path / "f.safetensors") == 1
    assert_right(tmp_path / "f.safetensors", extractor, data)


def trained_on(extractor: FeatureExtractor) -> FeatureExtractor:
    with torch.no_grad():
        next(extractor.network.parameters()).mul_(1.1)
    return extractor


OTHERS: dict[str, Callable[[FeatureExtractor, MemoryImages], tuple[FeatureExtractor, MemoryImages, int]]] = {
    "name": lambda e, d: (another(0, "other"), d, 4),
    "weights": lambda e, d: (another(1), d, 4),
    "same weights, trained on": lambda e, d: (trained_on(e), d, 4),
    "images": lambda e, d: (e, MemoryImages(d.name, d.images.flip(3), d.labels), 4),
    "labels": lambda e, d: (e, MemoryImages(d.name, d.images, d.require_labels() + 1), 4),
    "fewer images": lambda e, d: (e, d.take(range(20)), 4),
    "batch size": lambda e, d: (e, d, 5),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_call_starts_over(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, what: str) -> None:
    out = tmp_path / "f.safetensors"
    run(extractor, data, out, stop=3)
    other, others, size = OTHERS[what](extractor, data)
    assert run(other, others, out, size=size) == -(-len(others) // size)
    assert_right(out, other, others)


def test_notes_do_not_outlive_their_part(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    """Another model, killed before its first batch, must not leave its empty file under the notes of the first."""
    out, other = tmp_path / "f.safetensors", another(1)
    run(extractor, data, out, stop=3)
    run(other, data, out, stop=0)
    assert run(extractor, data, out) == 6
    assert_right(out, extractor, data)


@pytest.mark.parametrize("damage", ["part removed", "part cut", "notes damaged"])
def test_damaged_leftovers_are_not_used(
    extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, damage: str
) -> None:
    out = tmp_path / "f.safetensors"
    run(extractor, data, out, stop=3)
    part, notes = tmp_path / ".f.safetensors.part", tmp_path / ".f.safetensors.json"
    if damage == "part removed":
        part.unlink()
    elif damage == "part cut":
        part.write_bytes(part.read_bytes()[:-1])
    else:
        notes.write_bytes(notes.read_bytes()[:-9])
    assert run(extractor, data, out) == 6
    assert_right(out, extractor, data)


@pytest.mark.parametrize("length", range(0, 130, 16))
def test_names_of_any_length(data: MemoryImages, tmp_path: Path, length: int) -> None:
    """The length of the header stands in its first bytes, which are not always text."""
    extractor = another(0, "é" + "n" * length)
    run(extractor, data, tmp_path / "f.safetensors", stop=1, size=20)
    assert run(extractor, data, tmp_path / "f.safetensors", size=20) == 1
    assert_right(tmp_path / "f.safetensors", extractor, data)
    with safe_open(tmp_path / "f.safetensors", "np") as file:
        assert file.metadata()["model"] == extractor.card.name


def test_data_without_labels(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    extract(extractor, MemoryImages("bare", data.images, None), tmp_path / "f.safetensors", progress=False)
    assert load_file(tmp_path / "f.safetensors")["labels"].tolist() == [-1] * N


def test_no_images(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    extract(extractor, data.take(torch.arange(0)), tmp_path / "f.safetensors", progress=False)
    assert load_file(tmp_path / "f.safetensors")["features"].shape == (0, 256)


def test_a_file_is_replaced_at_the_end_only(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    out = tmp_path / "f.safetensors"
    run(another(1), data, out)
    before = out.read_bytes()
    run(extractor, data, out, stop=3)
    assert out.read_bytes() == before
    run(extractor, data, out)
    assert_right(out, extractor, data)


def test_a_folder_is_refused_before_the_work(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file"):
        run(extractor, data, tmp_path, stop=0)
    assert list(tmp_path.iterdir()) == []


def test_modes_stay_as_they_were(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    extractor.train()
    run(extractor, data, tmp_path / "f.safetensors", stop=2)
    assert all(module.training for module in extractor.modules())
    run(extractor, data, tmp_path / "f.safetensors")
    assert all(module.training for module in extractor.modules())
    assert_right(tmp_path / "f.safetensors", extractor.eval(), data)
