"""Features of a data set, or of a part of its rows, in a file that is written with constant memory; a kill loses one batch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from robustfeat.backbones.modes import evaluating
from robustfeat.data import ImageDataset
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.origin import Origin
from robustfeat.features.parquet import write_parquet
from robustfeat.features.partial import PartialFile, Tensor, partial_file
from robustfeat.features.shard import WHOLE, Shard
from robustfeat.runtime.files import check_suffix
from robustfeat.runtime.progress import Progress

Precision = Literal["float32", "float16"]


def extract(
    extractor: FeatureExtractor,
    data: ImageDataset,
    out: str | os.PathLike[str],
    *,
    batch_size: int = 64,
    precision: Precision = "float32",
    shard: Shard | None = None,
    progress: bool = True,
) -> Path:
    """Write features (n, d), labels (n,) and rows (n,) in data order, with the file names of the images where they have some.

    A .safetensors file holds the tensors features, labels (int64, -1 where there is none), rows (int64) and, for data with files,
    files (the bytes of a JSON list). A .parquet file has the columns id, path, label, class and feature (a fixed-size list). The
    metadata of both are those of `Origin`, and `read_features` reads both.

    If a call is interrupted, the next call with the same arguments continues from the last batch. The file appears under its
    name when it is complete.

    Args:
        extractor: the feature extractor.
        data: the images.
        out: the file, whose name ends in .safetensors or .parquet; with a shard, the folder for the Parquet files of all shards.
        batch_size: images per batch.
        precision: the type of the features; "float16" halves the file.
        shard: which part of the rows to compute, for several machines at once; None computes all rows.
        progress: whether to show a progress bar.

    Returns:
        The path of the file.

    Raises:
        ValueError: for another suffix, a batch size below 1, another precision, and features that are too large for float16.
        IsADirectoryError: if `out` is a folder, and there is no shard.
        NotADirectoryError: if `out` is a file, or named like one, and there is a shard.
        BlockingIOError: if another process is writing the same file.
        FullDiskError: if there is no space left; the next call continues.
    """
    target = _target(out, shard)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(map(repr, get_args(Precision)))}, got {precision!r}")
    origin = Origin.of(extractor, data, shard or WHOLE)
    rows = origin.shard.rows(len(data))
    tensors, given = _tensors(rows, origin.dimension, precision, data)
    with (
        partial_file(target, tensors, origin.metadata(), given, {"batch_size": batch_size}) as part,
        evaluating(extractor),
        Progress("features", len(rows), quiet=not progress) as bar,
    ):
        bar.begin_at(part.done)
        for start in range(part.done, len(rows), batch_size):
            batch = data.batch(torch.tensor(rows[start : start + batch_size]))
            features = _narrow(extractor.transform_batch(batch.images).numpy(), precision)
            labels = np.full(len(batch), -1) if batch.labels is None else batch.labels.numpy()
            part.append(features=features, labels=labels, rows=batch.rows.numpy())
            bar.advance(len(batch))
        FORMATS[target.suffix.lower()](part, target, origin, data)
    return target


def _rename(part: PartialFile, target: Path, _origin: Origin, _data: ImageDataset) -> None:
    part.become(target)


FORMATS = {".safetensors": _rename, ".parquet": write_parquet}


def _target(out: str | os.PathLike[str], shard: Shard | None) -> Path:
    """Return the path of the file to write."""
    path = Path(out)
    if shard is None:
        if path.is_dir() or os.fspath(out).endswith(os.sep):
            raise IsADirectoryError(
                f"{os.fspath(out)!r} is a folder; give the name of a file, or a shard of which the folder holds the part"
            )
        return check_suffix(out, *FORMATS, what="features")
    if path.is_file() or path.suffix.lower() in FORMATS:
        raise NotADirectoryError(f"{os.fspath(out)!r} is no folder; the shards of a data set are files in one folder")
    return path / shard.file_name


def _tensors(
    rows: range, dim: int, precision: Precision, data: ImageDataset
) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    """Return the tensors of the file, and the content of those that are known before anything is computed."""
    n = len(rows)
    width = np.dtype(precision).newbyteorder("<").str
    tensors = {"labels": Tensor("<i8", (n,)), "rows": Tensor("<i8", (n,)), "features": Tensor(width, (n, dim))}
    if data.files is None:
        return tensors, {}
    files = np.frombuffer(json.dumps(data.files[rows.start : rows.stop]).encode(), np.uint8)
    return tensors | {"files": Tensor("|u1", files.shape)}, {"files": files}


def _narrow(features: np.ndarray, precision: Precision) -> np.ndarray:
    """Return the features in their type in the file.

    Raises:
        ValueError: a finite value would become infinite.
    """
    with np.errstate(over="ignore"):
        narrow = features.astype(precision)
    if (np.isinf(narrow) & np.isfinite(features)).any():
        raise ValueError(f"features reach {np.abs(features).max():g}, more than float16 holds; use float32")
    return narrow
