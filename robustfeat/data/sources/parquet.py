"""This module reads parquet files: small tables are read into memory, larger ones are mapped from an Arrow file in the cache.

The Arrow file is written on first use.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from huggingface_hub import constants
from pyarrow.parquet import ParquetFile

from robustfeat.data.class_names import Names, common_names, renumbered
from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.base import Source
from robustfeat.data.split import SPLITS, no_splits
from robustfeat.data.table import Table
from robustfeat.runtime.errors import FullDiskError
from robustfeat.runtime.files import atomic_file
from robustfeat.runtime.registry import unknown

SMALL = 1 << 30  # bytes
BATCH = 256  # rows that are read at once, of a table that is not small


@SOURCES.register("parquet")
class Parquet(Source):
    """A parquet file, or a folder with such files in it or below."""

    breadth = 2

    def takes(self, name: str) -> bool:
        return bool(_files(Path(name).expanduser()))

    def open(self, name: str, split: str) -> Table:
        return parquet(_files(Path(name).expanduser()), split)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == ".parquet" else []
    return sorted(path.rglob("*.parquet")) if path.is_dir() else []


def parquet(files: Sequence[Path], split: str) -> Table:
    """Return the table of a split: the files whose name begins with it (`train-00000-of-00001.parquet`).

    A single file with another name is "train". Files that number the names of their classes differently are renumbered alike, in
    all splits.

    Args:
        files: the parquet files of all splits.
        split: the name of the split.

    Raises:
        UnknownNameError: if there is no such split.
        ValueError: if a file cannot be read, or the split is empty.
    """
    if len(files) == 1 and not files[0].name.startswith(SPLITS):
        if split != "train":
            raise no_splits(str(files[0]), split)
        chosen = files
    else:
        chosen = [file for file in files if re.match(rf"{re.escape(split)}(?![a-zA-Z])", file.name)]
    if not chosen:
        raise unknown("split", split, {file.name.split("-")[0].removesuffix(".parquet") for file in files})
    source = str(chosen[0] if len(files) == 1 else chosen[0].parent)
    try:
        # Those to train on say which number a name has.
        first = sorted(files, key=lambda file: not file.name.startswith("train"))
        names = common_names(ParquetFile(file).schema_arrow for file in first) if len(files) > 1 else {}
        fingerprint = _fingerprint(chosen, names)
        rows = _rows(chosen, names, fingerprint)
    except FullDiskError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"data set {source!r} cannot be read: {' '.join(str(error).split())}") from error
    if len(rows) == 0:
        raise ValueError(f"data set {source!r} cannot be read: the split is empty")
    return Table(rows, fingerprint)


def _rows(files: Sequence[Path], names: Names, fingerprint: str) -> pa.Table:
    opened = [ParquetFile(file) for file in files]
    groups = [file.metadata.row_group(i) for file in opened for i in range(file.num_row_groups)]
    if sum(group.total_byte_size for group in groups) <= SMALL:
        return pa.concat_tables([_alike(file.read(), names) for file in opened])
    path = Path(constants.HF_ASSETS_CACHE) / "robustfeat" / "tables" / f"{fingerprint}.arrow"
    if not path.is_file():
        schema = _alike(opened[0].schema_arrow.empty_table(), names).schema
        with atomic_file(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
            for file in opened:
                for batch in file.iter_batches(BATCH):
                    writer.write_table(_alike(pa.Table.from_batches([batch]), names))
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _alike(rows: pa.Table, names: Names) -> pa.Table:
    return renumbered(rows, names) if names else rows


def _fingerprint(files: Sequence[Path], names: Names) -> str:
    """Hash file names, sizes and modification times, because the content may be too large to read."""
    facts: list[object] = [(file.name, (found := file.stat()).st_size, found.st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts + ([names] if names else [])).encode()).hexdigest()
