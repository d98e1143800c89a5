"""Features as Parquet and as tensors, read by other libraries and by `read_features`: the right rows with the right files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import torch
from interrupted_extraction import Killed, noise_images, run
from PIL import Image
from pyarrow import parquet as pq

from robustfeat.data import MemoryImages, dataset
from robustfeat.features import Shard, parquet, read_features
from robustfeat.features.extraction import extract
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.partial import partial_file
from robustfeat.runtime.errors import FullDiskError
from robustfeat.runtime.version import __version__

N = 23
SUFFIXES = (".parquet", ".safetensors")


@pytest.fixture
def data() -> MemoryImages:
    bare = noise_images(N)
    files = tuple(f"photos/ä {row}.png" for row in range(N))
    return MemoryImages("noise", bare.images, bare.labels, ("zero", "one", "two", "three"), files=files)


def assert_right(out: Path, extractor: FeatureExtractor, data: MemoryImages) -> None:
    found = pq.read_table(out).to_pydict()
    assert list(found) == ["id", "path", "label", "class", "feature"]
    assert np.allclose(found["feature"], extractor.transform(data), atol=1e-5)
    assert found["id"] == list(range(len(data)))
    assert found["label"] == data.require_labels().tolist()
    assert tuple(found["path"]) == data.files
    assert found["class"] == [dict(enumerate(data.classes)).get(label) for label in found["label"]]
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("group", [5, 4096])
def test_the_content(
    extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", group)
    out = tmp_path / "deep" / "features.parquet"
    run(extractor, data, out)
    assert_right(out, extractor, data)
    assert pq.ParquetFile(out).num_row_groups == -(-N // group)
    schema = pq.read_schema(out)
    assert schema.field("feature").type == pa.list_(pa.field("item", pa.float32(), nullable=False), 256)
    assert [schema.field(i).type for i in range(4)] == [pa.int64(), pa.string(), pa.int64(), pa.string()]
    frame = pd.read_parquet(out)
    assert np.allclose(np.stack(frame["feature"].to_list()), extractor.transform(data), atol=1e-5)


def test_the_metadata(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    extractor.card = dataclasses.replace(extractor.card, threat="linf 8/255")
    run(extractor, data, tmp_path / "f.parquet")
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
        "fingerprint": data.fingerprint,
        "images": str(N),
        "classes": '["zero", "one", "two", "three"]',
        "shard": "1/1",
        "version": __version__,
    }


def test_what_the_data_lack_is_null(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    run(extractor, MemoryImages("bare", data.images, None), tmp_path / "f.parquet")
    found = pq.read_table(tmp_path / "f.parquet")
    assert [found[name].null_count for name in found.column_names] == [0, N, N, N, 0]
    again = read_features(tmp_path / "f.parquet")
    assert again.paths is None
    assert again.labels.tolist() == [-1] * N


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_reading(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, suffix: str, precision: str) -> None:
    out = tmp_path / f"f{suffix}"
    run(extractor, data, out, precision=precision)  # type: ignore[arg-type]
    found = read_features(out, digest=extractor.digest())
    assert found.features.dtype == precision
    expected = extractor.transform(data)
    assert np.allclose(found.features, expected, atol=1e-5, rtol=0 if precision == "float32" else 2**-10)
    assert found.ids.tolist() == list(range(N))
    assert found.labels.tolist() == data.require_labels().tolist()
    assert (found.classes, found.paths) == (data.classes, data.files)
    assert (found.digest, found.model) == (extractor.digest(), "untrained")
    assert (len(found), found.origin.fingerprint) == (N, data.fingerprint)
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


@pytest.mark.parametrize("stop", [0, 1, 3, 5])
def test_it_goes_on_where_it_was(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, stop: int) -> None:
    whole, out = tmp_path / "whole" / "f.parquet", tmp_path / "cut" / "f.parquet"
    run(extractor, data, whole)
    assert run(extractor, data, out, stop=stop) == stop
    assert not out.exists()
    assert run(extractor, data, out) == 6 - stop
    assert out.read_bytes() == whole.read_bytes()
    assert_right(out, extractor, data)


def test_killed_while_the_table_is_written(
    extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
            extract(extractor, data, out, batch_size=4, progress=False)
    assert not out.exists()
    assert run(extractor, data, out) == 0
    assert_right(out, extractor, data)


@pytest.mark.parametrize("what", ["files", "class names", "precision"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_call_starts_over(
    extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, what: str, suffix: str
) -> None:
    out = tmp_path / f"f{suffix}"
    run(extractor, data, out, stop=3)
    assert data.files is not None
    changes = {"files": {"files": data.files[::-1]}, "class names": {"classes": ("a", "b", "c", "d")}, "precision": {}}
    other = data.take(slice(None))
    for name, value in changes[what].items():
        setattr(other, name, value)
    assert run(extractor, other, out, precision="float16" if what == "precision" else "float32") == 6
    assert read_features(out).paths == other.files


@pytest.mark.parametrize("of", [1, 3, 12, 30])
def test_shards_are_the_whole_in_order(
    extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path, of: int
) -> None:
    run(extractor, data, tmp_path / "whole.parquet")
    for number in range(of, 0, -1):
        run(extractor, data, tmp_path / "parts", shard=Shard(number, of))
    whole = pq.read_table(tmp_path / "whole.parquet")
    parts = ds.dataset(tmp_path / "parts").to_table()
    for name in ("id", "path", "label", "class"):
        assert parts[name].to_pylist() == whole[name].to_pylist()
    expected = extractor.transform(data)
    assert np.allclose(parts["feature"].to_pylist(), expected, atol=1e-5)
    found = read_features(tmp_path / "parts", digest=extractor.digest())
    assert np.allclose(found.features, expected, atol=1e-5)
    assert found.ids.tolist() == list(range(N))
    assert (found.paths, found.labels.tolist()) == (data.files, data.require_labels().tolist())
    assert found.origin == read_features(tmp_path / "whole.parquet").origin


def test_a_shard_goes_on_where_it_was(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    """Its rows are 7 to 14 of 23: two batches; another shard in the same folder does not disturb it."""
    run(extractor, data, tmp_path, stop=1, shard=Shard(2, 3))
    run(extractor, data, tmp_path, shard=Shard(1, 3))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["part-1-of-3.parquet"]
    assert run(extractor, data, tmp_path, shard=Shard(2, 3)) == 1
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


def test_float16_does_not_overflow(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    extractor.transform_batch = lambda images: torch.full((len(images), 256), 7e4)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="features reach 70000, more than float16 holds; use float32"):
        extract(extractor, data, tmp_path / "f.parquet", precision="float16", progress=False)
    extract(extractor, data, tmp_path / "f.parquet", progress=False)
    with pytest.raises(ValueError, match="precision must be one of 'float32', 'float16', got 'int8'"):
        extract(extractor, data, tmp_path / "f.parquet", precision="int8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("suffix", "where", "left"),
    [(".safetensors", "fsync", 4), (".parquet", "fsync", 4), (".parquet", "write_table", 0)],
)
def test_a_full_disk(
    extractor: FeatureExtractor,
    data: MemoryImages,
    tmp_path: Path,
    suffix: str,
    where: str,
    left: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / f"f{suffix}"
    run(extractor, data, out, stop=2)
    with monkeypatch.context() as patch:
        patch.setattr(*(("os.fsync", full) if where == "fsync" else (pq.ParquetWriter, where, full)))
        with pytest.raises(FullDiskError, match=r"no space left on the disk for '.*/f\."):
            extract(extractor, data, out, batch_size=4, progress=False)
    assert not out.exists()
    assert run(extractor, data, out) == left
    assert len(read_features(out)) == N


def test_two_writers(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    with (
        partial_file(out, {}, {}, {}, {}),
        pytest.raises(BlockingIOError, match=r"another process is writing '.*f\.parquet'"),
    ):
        run(extractor, data, out)
    assert run(extractor, data, out) == 6


def test_where_shards_and_files_go(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file, or a shard"):
        extract(extractor, data, f"{tmp_path}/new/")
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "f.parquet"):
        with pytest.raises(NotADirectoryError, match="is no folder; the shards of a data set are files in one folder"):
            extract(extractor, data, out, shard=Shard(1, 2))
    with pytest.raises(ValueError, match=r"features are written as \.safetensors or \.parquet"):
        extract(extractor, data, tmp_path / "f.arrow")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_images(extractor: FeatureExtractor, data: MemoryImages, tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        run(extractor, data.take([]), tmp_path / f"f{suffix}")
        assert read_features(tmp_path / f"f{suffix}").features.shape == (0, 256)
