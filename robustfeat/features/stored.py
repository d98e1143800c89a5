"""Features read from the files that `extract` wrote, after checking that they are whole and belong together."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow.parquet import ParquetFile
from safetensors import SafetensorError, safe_open

from robustfeat.features.origin import Origin
from robustfeat.features.shard import WHOLE
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import check_suffix
from robustfeat.runtime.registry import unknown


@dataclass(frozen=True, eq=False)
class StoredFeatures:
    """Features with the images that they are of.

    Args:
        features: (n, d) float32, or float16 if they were stored so.
        ids: rows of the data set, int64 (n,).
        paths: the file name of each image; None for data whose images are not in files.
        labels: class numbers, int64 (n,), -1 where there is none.
        origin: the extractor, the data set, and the part of its rows.
    """

    features: np.ndarray
    ids: np.ndarray
    paths: tuple[str, ...] | None
    labels: np.ndarray
    origin: Origin

    def __repr__(self) -> str:
        """Return for example `StoredFeatures(10000 x 512 float32, 'gacd-resnet18', 'cifar10')`."""
        count, width = self.features.shape
        return f"StoredFeatures({count} x {width} {self.features.dtype}, {self.model!r}, {self.origin.data!r})"

    def __len__(self) -> int:
        return len(self.features)

    @property
    def digest(self) -> str:
        """The digest of the extractor."""
        return self.origin.digest

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.origin.model

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in order."""
        return self.origin.classes

    def position(self, path: str) -> int:
        """Return where in the arrays the image of this file name is; the first place, if it is there several times.

        Raises:
            UnknownNameError: there is no such file.
        """
        if path not in self._positions:
            raise unknown("file", path, self._positions)
        return self._positions[path]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {path: number for number, path in reversed(list(enumerate(self.paths or ())))}


def read_features(path: str | os.PathLike[str], *, digest: str | None = None) -> StoredFeatures:
    """Read the features of one file, or of a folder with the files of all shards.

    Args:
        path: a .parquet or .safetensors file, which may be that of one shard, or a folder.
        digest: the digest that the extractor must have (`extractor.digest()`); None accepts features of any extractor.

    Returns:
        The features in the order of the data set.

    Raises:
        FileNotFoundError: there is no such file, or no Parquet file in the folder.
        ValueError: for a file of another format.
        IntegrityError: a file is damaged or half-written, shards are missing or do not belong together, or the features are of
            another extractor.
    """
    source = Path(path)
    files = sorted(source.glob("[!.]*.parquet")) if source.is_dir() else [source]
    if not files or not source.exists():
        raise FileNotFoundError(f"{str(path)!r} is no file of features, and no folder with such files")
    parts = [_READERS[check_suffix(file, *_READERS, what="features").suffix.lower()](file) for file in files]
    for file, part in zip(files, parts, strict=True):
        _check_part(file, part, digest)
    if not source.is_dir():
        return parts[0]
    parts.sort(key=lambda part: part.origin.shard.number)
    _check_together(source, parts)
    return _joined(parts)


def _read_parquet(path: Path) -> StoredFeatures:
    try:
        file = ParquetFile(path, page_checksum_verification=True)
        metadata = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
        origin = Origin.read(metadata, str(path))
        table = file.read(["id", "path", "label"])
        names = table["path"]
        return StoredFeatures(
            features=_feature_column(file, origin.dimension),
            ids=table["id"].to_numpy(),
            paths=None if names.null_count else tuple(names.to_pylist()),
            labels=table["label"].fill_null(-1).to_numpy(),
            origin=origin,
        )
    except (pa.ArrowException, OSError, KeyError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error


def _feature_column(file: ParquetFile, dimension: int) -> np.ndarray:
    """Read the features one row group after the other, because all of them as Arrow's lists would be in memory a second time."""
    dtype = file.schema_arrow.field("feature").type.value_type.to_pandas_dtype()
    features = np.empty((file.metadata.num_rows, dimension), dtype)
    done = 0
    for group in range(file.num_row_groups):
        column = file.read_row_group(group, ["feature"])["feature"].combine_chunks()
        features[done : done + len(column)] = column.flatten().to_numpy().reshape(len(column), dimension)
        done += len(column)
    return features


def _read_safetensors(path: Path) -> StoredFeatures:
    try:
        with safe_open(path, "np") as file:
            origin = Origin.read(file.metadata() or {}, str(path))
            names = set(file.keys())
            return StoredFeatures(
                features=file.get_tensor("features"),
                ids=file.get_tensor("rows"),
                paths=tuple(json.loads(file.get_tensor("files").tobytes())) if "files" in names else None,
                labels=file.get_tensor("labels"),
                origin=origin,
            )
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


_READERS = {".parquet": _read_parquet, ".safetensors": _read_safetensors}


def _damaged(path: Path, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"{str(path)!r} is damaged or half-written ({' '.join(str(error).split())}); extract it again"
    )


def _check_part(path: Path, part: StoredFeatures, digest: str | None) -> None:
    """Check that a file has the rows that it should have, of the right extractor."""
    origin = part.origin
    if digest is not None and origin.digest != digest:
        raise IntegrityError(
            f"{str(path)!r} holds features of {origin.model!r} with digest {origin.digest[:12]}, not of the extractor with "
            f"digest {digest[:12]}; extract them again with that one"
        )
    rows = origin.shard.rows(origin.images)
    lengths = {len(part.ids), len(part.labels), len(rows if part.paths is None else part.paths)}
    if part.features.shape != (len(rows), origin.dimension) or lengths != {len(rows)}:
        expected = f"{len(rows)} x {origin.dimension}"
        raise IntegrityError(
            f"{str(path)!r} holds features {part.features.shape} instead of {expected}; extract it again"
        )
    if not np.array_equal(part.ids, rows):
        raise IntegrityError(f"{str(path)!r} does not hold the rows {rows.start} to {rows.stop - 1}; extract it again")


def _check_together(folder: Path, parts: Sequence[StoredFeatures]) -> None:
    """Check that the files of a folder are all parts of one extraction."""
    first = dataclasses.asdict(parts[0].origin)
    for part in parts[1:]:
        other = dataclasses.asdict(part.origin)
        if differing := [name for name in first if name != "shard" and first[name] != other[name]]:
            raise IntegrityError(
                f"the files in {str(folder)!r} do not belong together: shard {part.origin.shard} has another "
                f"{' and '.join(differing)} than shard {parts[0].origin.shard}; keep the files of one extraction only"
            )
    of = parts[0].origin.shard.of
    found = [part.origin.shard.number for part in parts]
    if {part.origin.shard.of for part in parts} != {of} or len(found) != len(set(found)):
        shards = ", ".join(str(part.origin.shard) for part in parts)
        raise IntegrityError(f"the files in {str(folder)!r} do not belong together: {shards}; keep those of one call")
    if missing := sorted(set(range(1, of + 1)) - set(found)):
        names = ", ".join(f"{number}/{of}" for number in missing)
        raise IntegrityError(f"shards {names} are missing in {str(folder)!r}; extract them with --shard")


def _joined(parts: Sequence[StoredFeatures]) -> StoredFeatures:
    paths = [part.paths for part in parts if part.paths is not None]
    return StoredFeatures(
        features=np.concatenate([part.features for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        paths=tuple(name for names in paths for name in names) if len(paths) == len(parts) else None,
        labels=np.concatenate([part.labels for part in parts]),
        origin=dataclasses.replace(parts[0].origin, shard=WHOLE),
    )
