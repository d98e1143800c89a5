"""Files of features that are damaged, incomplete or of several extractions are refused, each with its reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from interrupted_extraction import another, noise_images, run
from pyarrow import parquet as pq
from safetensors.torch import save_file

from robustfeat.data import MemoryImages
from robustfeat.features import Shard, read_features
from robustfeat.runtime.errors import IntegrityError

N = 20


def extracted(folder: Path, *numbers: int, of: int = 3, seed: int = 0, data: MemoryImages | None = None) -> Path:
    """The files of these shards."""
    for number in numbers:
        run(another(seed), data or noise_images(N), folder, size=20, shard=Shard(number, of))
    return folder


def renamed(folder: Path) -> Path:
    shutil.copy(folder / "part-1-of-3.parquet", folder / "copy.parquet")
    return folder


def rows_of_another(folder: Path) -> Path:
    """A file with the metadata of one shard and as many rows of another."""
    file = folder / "part-1-of-3.parquet"
    rows, metadata = pq.read_table(folder / "part-2-of-3.parquet"), pq.read_schema(file).metadata
    pq.write_table(rows.slice(0, 6).replace_schema_metadata(metadata), file)
    return folder


OTHER = noise_images(N).take(range(N)[::-1])
NAMED = MemoryImages("noise", noise_images(N).images, noise_images(N).labels, ("a", "b", "c", "d", "e"))

CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "one is missing": (lambda path: extracted(path, 1, 3), "shards 2/3 are missing in"),
    "two are missing": (lambda path: extracted(path, 2), "shards 1/3, 3/3 are missing in"),
    "another model": (
        lambda path: extracted(extracted(path, 1, 2), 3, seed=1),
        "do not belong together: shard 3/3 has another digest than shard 1/3",
    ),
    "other data": (
        lambda path: extracted(extracted(path, 2, 3), 1, data=OTHER), "shard 2/3 has another fingerprint than shard 1/3",
    ),
    "other classes": (lambda path: extracted(extracted(path, 1, 3), 2, data=NAMED), "shard 2/3 has another classes than"),
    "more images": (
        lambda path: extracted(extracted(path, 1, 2), 3, data=noise_images(N + 1)), "another fingerprint and images than",
    ),
    "other shards": (
        lambda path: extracted(extracted(path, 1, 2, 3), 1, of=4), "do not belong together: 1/3, 1/4, 2/3, 3/3",
    ),
    "one is there twice": (lambda path: renamed(extracted(path, 1, 2, 3)), "together: 1/3, 1/3, 2/3, 3/3"),
    "rows of another": (lambda path: rows_of_another(extracted(path, 1, 2, 3)), "does not hold the rows 0 to 5"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_parts_that_are_no_whole(tmp_path: Path, name: str) -> None:
    make, message = CASES[name]
    with pytest.raises(IntegrityError, match=message):
        read_features(make(tmp_path))


@pytest.mark.parametrize("suffix", [".parquet", ".safetensors"])
def test_half_a_file(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"f{suffix}"
    run(another(0), noise_images(N), out)
    content = out.read_bytes()
    for length in (0, 4, len(content) // 2, len(content) - 1):
        out.write_bytes(content[:length])
        with pytest.raises(IntegrityError, match=rf"'.*f{suffix}' is damaged or half-written .*; extract it again"):
            read_features(out)


def test_a_flipped_bit_of_a_table(tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    run(another(0), noise_images(N), out)
    content = bytearray(out.read_bytes())
    column = pq.ParquetFile(out).metadata.row_group(0).column(4)
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    out.write_bytes(content)
    with pytest.raises(IntegrityError, match="damaged"):
        read_features(out)


@pytest.mark.parametrize("suffix", [".parquet", ".safetensors"])
def test_another_digest(tmp_path: Path, suffix: str) -> None:
    out, one, other = tmp_path / f"f{suffix}", another(0), another(1)
    run(one, noise_images(N), out)
    with pytest.raises(
        IntegrityError,
        match=f"of 'untrained' with digest {one.digest()[:12]}, not of the extractor with digest {other.digest()[:12]}",
    ):
        read_features(out, digest=other.digest())


def test_files_of_others(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [0], "feature": [[1.0, 2.0]]}), tmp_path / "f.parquet")
    save_file({"features": torch.ones(1, 2)}, tmp_path / "f.safetensors")
    for suffix in (".parquet", ".safetensors"):
        with pytest.raises(IntegrityError, match="does not say what its features are of"):
            read_features(tmp_path / f"f{suffix}")


def test_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "f.parquet"):
        with pytest.raises(FileNotFoundError, match="is no file of features, and no folder with such files"):
            read_features(path)
    (tmp_path / "f.csv").touch()
    with pytest.raises(ValueError, match=r"features are written as \.parquet or \.safetensors"):
        read_features(tmp_path / "f.csv")


def test_unfinished_files_are_not_read(tmp_path: Path) -> None:
    """What an interrupted call left is hidden, and no part of the folder."""
    extracted(tmp_path, 1, 2)
    run(another(0), noise_images(N), tmp_path, stop=1, shard=Shard(3, 3))
    with pytest.raises(IntegrityError, match="shards 3/3 are missing"):
        read_features(tmp_path)
