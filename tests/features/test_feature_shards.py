"""Shards of an extraction: together they are the whole, in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest
from feature_files import ROWS
from interrupted_extraction import run
from pyarrow import parquet as pq

from robustfeat.data import MemoryImages
from robustfeat.features import Shard, read_features
from robustfeat.features.extraction import extract
from robustfeat.features.extractor import FeatureExtractor


@pytest.mark.parametrize("of", [1, 3, 12, 30])
def test_shards_are_the_whole_in_order(
    extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path, of: int
) -> None:
    run(extractor, named, tmp_path / "whole.parquet")
    for number in range(of, 0, -1):
        run(extractor, named, tmp_path / "parts", shard=Shard(number, of))
    whole = pq.read_table(tmp_path / "whole.parquet")
    parts = ds.dataset(tmp_path / "parts").to_table()
    for name in ("id", "path", "label", "class"):
        assert parts[name].to_pylist() == whole[name].to_pylist()
    expected = extractor.transform(named)
    assert np.allclose(parts["feature"].to_pylist(), expected, atol=1e-5)
    found = read_features(tmp_path / "parts", digest=extractor.digest())
    assert np.allclose(found.features, expected, atol=1e-5)
    assert found.ids.tolist() == list(range(ROWS))
    assert (found.paths, found.labels.tolist()) == (named.files, named.require_labels().tolist())
    assert found.origin == read_features(tmp_path / "whole.parquet").origin


def test_a_shard_goes_on_where_it_was(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path) -> None:
    """Its rows are 7 to 14 of 23: two batches; another shard in the same folder does not disturb it."""
    run(extractor, named, tmp_path, stop=1, shard=Shard(2, 3))
    run(extractor, named, tmp_path, shard=Shard(1, 3))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["part-1-of-3.parquet"]
    assert run(extractor, named, tmp_path, shard=Shard(2, 3)) == 1
    assert read_features(tmp_path / "part-2-of-3.parquet").ids.tolist() == list(range(7, 15))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("of", [1, 2, 8])
def test_shards_are_even(n: int, of: int) -> None:
    rows = [Shard(number, of).rows(n) for number in range(1, of + 1)]
    assert [row for part in rows for row in part] == list(range(n))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "2", "2/", "-1/8", "2/8/1", "a/b", " 1/2"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(ValueError, match="shard"):
        Shard.parse(text)


def test_where_shards_and_files_go(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file, or a shard"):
        extract(extractor, named, f"{tmp_path}/new/")
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "f.parquet"):
        with pytest.raises(NotADirectoryError, match="is no folder; the shards of a data set are files in one folder"):
            extract(extractor, named, out, shard=Shard(1, 2))
    with pytest.raises(ValueError, match=r"features are written as \.safetensors or \.parquet"):
        extract(extractor, named, tmp_path / "f.arrow")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
