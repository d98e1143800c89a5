"""Extractions into tables that are killed, disturbed or out of space: nothing half-written, nothing computed twice."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from feature_files import ROWS, SUFFIXES, assert_right
from interrupted_extraction import Killed, run
from pyarrow import parquet as pq

from robustfeat.data import MemoryImages
from robustfeat.features import parquet, read_features
from robustfeat.features.extraction import extract
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.partial import partial_file
from robustfeat.runtime.errors import FullDiskError


@pytest.mark.parametrize("stop", [0, 1, 3, 5])
def test_it_goes_on_where_it_was(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path, stop: int) -> None:
    whole, out = tmp_path / "whole" / "f.parquet", tmp_path / "cut" / "f.parquet"
    run(extractor, named, whole)
    assert run(extractor, named, out, stop=stop) == stop
    assert not out.exists()
    assert run(extractor, named, out) == 6 - stop
    assert out.read_bytes() == whole.read_bytes()
    assert_right(out, extractor, named)


def test_killed_while_the_table_is_written(
    extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is there under the final name, and nothing is computed again."""
    out = tmp_path / "f.parquet"
    monkeypatch.setattr(parquet, "GROUP_ROWS", 5)
    original, written = pq.ParquetWriter.write_table, 0

    def write_table(self: pq.ParquetWriter, table: pa.Table) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise Killed
        original(self, table)

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", write_table)
        with pytest.raises(Killed):
            extract(extractor, named, out, batch_size=4, progress=False)
    assert not out.exists()
    assert run(extractor, named, out) == 0
    assert_right(out, extractor, named)


@pytest.mark.parametrize("what", ["files", "class names", "precision"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_call_starts_over(
    extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path, what: str, suffix: str
) -> None:
    out = tmp_path / f"f{suffix}"
    run(extractor, named, out, stop=3)
    assert named.files is not None
    changes = {"files": {"files": named.files[::-1]}, "class names": {"classes": ("a", "b", "c", "d")}, "precision": {}}
    other = named.take(slice(None))
    for name, value in changes[what].items():
        setattr(other, name, value)
    assert run(extractor, other, out, precision="float16" if what == "precision" else "float32") == 6
    assert read_features(out).paths == other.files


@pytest.mark.parametrize(
    ("suffix", "where", "left"),
    [(".safetensors", "fsync", 4), (".parquet", "fsync", 4), (".parquet", "write_table", 0)],
)
def test_a_full_disk(
    extractor: FeatureExtractor,
    named: MemoryImages,
    tmp_path: Path,
    suffix: str,
    where: str,
    left: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / f"f{suffix}"
    run(extractor, named, out, stop=2)
    with monkeypatch.context() as patch:
        patch.setattr(*(("os.fsync", full) if where == "fsync" else (pq.ParquetWriter, where, full)))
        with pytest.raises(FullDiskError, match=r"no space left on the disk for '.*/f\."):
            extract(extractor, named, out, batch_size=4, progress=False)
    assert not out.exists()
    assert run(extractor, named, out) == left
    assert len(read_features(out)) == ROWS


def test_two_writers(extractor: FeatureExtractor, named: MemoryImages, tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    with (
        partial_file(out, {}, {}, {}, {}),
        pytest.raises(BlockingIOError, match=r"another process is writing '.*f\.parquet'"),
    ):
        run(extractor, named, out)
    assert run(extractor, named, out) == 6
