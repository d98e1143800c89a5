"""Features as Parquet and as tensors, read by other libraries and by `read_features`: the right rows with the right files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from feature_files import ROWS, SUFFIXES, assert_right
from interrupted_extraction import run
from PIL import Image
from pyarrow import parquet as pq

from robustfeat.data import MemoryImages, dataset
from robustfeat.features import parquet, read_features
from robustfeat.features.extraction import extract
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.runtime.version import __version__


@pytest.mark.parametrize("group", [5, 4096])
def test_the_content(
    extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", group)
    out = tmp_path / "deep" / "features.parquet"
    run(extractor, named, out)
    assert_right(out, extractor, named)
    assert pq.ParquetFile(out).num_row_groups == -(-ROWS // group)
    schema = pq.read_schema(out)
    assert schema.field("feature").type == pa.list_(pa.field("item", pa.float32(), nullable=False), 256)
    assert [schema.field(i).type for i in range(4)] == [pa.int64(), pa.string(), pa.int64(), pa.string()]
    frame = pd.read_parquet(out)
    assert np.allclose(np.stack(frame["feature"].to_list()), extractor.transform(named), atol=1e-5)


def test_the_metadata(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path) -> None:
    extractor.card = dataclasses.replace(extractor.card, threat="linf 8/255")
    run(extractor, named, tmp_path / "f.parquet")
    metadata = {key.decode(): value.decode() for key, value in pq.read_schema(tmp_path / "f.parquet").metadata.items()}
    architecture = json.loads(metadata.pop("architecture"))
    assert architecture["image_size"] == extractor.card.architecture.image_size
    assert architecture["mean"] == list(extractor.card.architecture.mean)
    assert metadata == {
        "model": "untrained",
        "sha256": "None",
        "digest": extractor.digest(),
        "threat": "linf 8/255",
        "dimension": "256",
        "data": "noise",
        "fingerprint": named.fingerprint,
        "images": str(ROWS),
        "classes": '["zero", "one", "two", "three"]',
        "shard": "1/1",
        "version": __version__,
    }


def test_what_the_data_lack_is_null(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path) -> None:
    run(extractor, MemoryImages("bare", named.images, None), tmp_path / "f.parquet")
    found = pq.read_table(tmp_path / "f.parquet")
    assert [found[name].null_count for name in found.column_names] == [0, ROWS, ROWS, ROWS, 0]
    again = read_features(tmp_path / "f.parquet")
    assert again.paths is None
    assert again.labels.tolist() == [-1] * ROWS


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_reading(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path, suffix: str, precision: str) -> None:
    out = tmp_path / f"f{suffix}"
    run(extractor, named, out, precision=precision)  # type: ignore[arg-type]
    found = read_features(out, digest=extractor.digest())
    assert found.features.dtype == precision
    expected = extractor.transform(named)
    assert np.allclose(found.features, expected, atol=1e-5, rtol=0 if precision == "float32" else 2**-10)
    assert found.ids.tolist() == list(range(ROWS))
    assert found.labels.tolist() == named.require_labels().tolist()
    assert (found.classes, found.paths) == (named.classes, named.files)
    assert (found.digest, found.model) == (extractor.digest(), "untrained")
    assert (len(found), found.origin.fingerprint) == (ROWS, named.fingerprint)
    assert repr(found) == f"StoredFeatures(23 x 256 {precision}, 'untrained', 'noise')"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_from_row_to_file_to_row(extractor: FeatureExtractor, tmp_path: Path, suffix: str) -> None:
    """The features of a file, read alone, are those of the row that has its name."""
    folder = tmp_path / "photos"
    for number, name in enumerate(("b/1.png", "b/2.png", "a/1.png", "a/0.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 60 * number, np.uint8)).save(folder / name)
    out = tmp_path / f"f{suffix}"
    extract(extractor, dataset(folder), out, progress=False)
    found = read_features(out)
    for path in folder.rglob("*.png"):
        row = found.position(str(path))
        assert found.paths is not None
        assert found.paths[row] == str(path)
        assert found.classes[found.labels[row]] == path.parent.name
        assert np.allclose(found.features[row], extractor.transform([path])[0], atol=1e-5)
    with pytest.raises(KeyError, match=r"unknown file '.*c/1.png'"):
        found.position(f"{folder}/c/1.png")


def test_float16_does_not_overflow(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path) -> None:
    extractor.transform_batch = lambda images: torch.full((len(images), 256), 7e4)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="features reach 70000, more than float16 holds; use float32"):
        extract(extractor, named, tmp_path / "f.parquet", precision="float16", progress=False)
    extract(extractor, named, tmp_path / "f.parquet", progress=False)
    with pytest.raises(ValueError, match="precision must be one of 'float32', 'float16', got 'int8'"):
        extract(extractor, named, tmp_path / "f.parquet", precision="int8")  # type: ignore[arg-type]


def test_no_images(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        run(extractor, named.take([]), tmp_path / f"f{suffix}")
        assert read_features(tmp_path / f"f{suffix}").features.shape == (0, 256)
