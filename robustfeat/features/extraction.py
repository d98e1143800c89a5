"""Features of a data set in one safetensors file, written batch by batch with constant memory; a kill loses one batch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from robustfeat.backbones.modes import evaluating
from robustfeat.data import ImageDataset
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.runtime.files import check_suffix, sync, write_text
from robustfeat.runtime.progress import Progress


def extract(
    extractor: FeatureExtractor,
    data: ImageDataset,
    out: str | os.PathLike[str],
    *,
    batch_size: int = 64,
    progress: bool = True,
) -> Path:
    """Write features (n, d) float32, labels (n,) int64 and rows (n,) int64 in data order; missing labels are -1.

    If a call is interrupted, the next call with the same model, data and batch size continues from the last batch. The file
    appears under its name when it is complete.

    Args:
        extractor: the feature extractor.
        data: the images.
        out: the file, whose name ends in .safetensors.
        batch_size: images per batch.
        progress: whether to show a progress bar.

    Returns:
        The path of the file.

    Raises:
        ValueError: for another suffix and for a batch size below 1.
        IsADirectoryError: if `out` is a folder.
    """
    if Path(out).is_dir():
        raise IsADirectoryError(f"{str(out)!r} is a folder; give the name of a file")
    target = check_suffix(out, ".safetensors", what="features")
    target.parent.mkdir(parents=True, exist_ok=True)
    part, notes = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.json")
    header, offsets, total = _layout(len(data), extractor.feature_dim, extractor, data)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    identity = {"header": header[8:].decode(), "weights": extractor.digest(), "batch_size": batch_size}
    done = _resume_at(part, total, notes, identity)
    if done == 0:
        notes.unlink(missing_ok=True)  # notes of another model must not outlive its part
        with open(part, "wb") as file:
            file.write(header)
            file.truncate(total)
    with open(part, "r+b") as file, evaluating(extractor), Progress("features", len(data), quiet=not progress) as bar:
        bar.begin_at(done)
        for start in range(done, len(data), batch_size):
            batch = data.batch(torch.arange(start, min(start + batch_size, len(data))))
            features = extractor.transform_batch(batch.images).numpy()
            labels = np.full(len(batch), -1) if batch.labels is None else batch.labels.numpy()
            _put(file, offsets["features"] + start * 4 * extractor.feature_dim, features.astype("<f4"))
            _put(file, offsets["labels"] + start * 8, labels.astype("<i8"))
            _put(file, offsets["rows"] + start * 8, batch.rows.numpy().astype("<i8"))
            file.flush()
            os.fsync(file.fileno())
            write_text(notes, json.dumps(identity | {"done": start + len(batch)}))
            bar.advance(len(batch))
    sync(part)
    part.replace(target)
    sync(target.parent)
    notes.unlink(missing_ok=True)
    return target


def _layout(n: int, dim: int, extractor: FeatureExtractor, data: ImageDataset) -> tuple[bytes, dict[str, int], int]:
    """Return the safetensors header (8 bytes of length, then JSON), the file offset of each tensor, and the size of the file."""
    sizes = {"features": ("F32", [n, dim], 4 * n * dim), "labels": ("I64", [n], 8 * n), "rows": ("I64", [n], 8 * n)}
    entries: dict[str, object] = {
        "__metadata__": {
            "model": extractor.card.name,
            "sha256": str(extractor.card.sha256),
            "data": data.name,
            "fingerprint": data.fingerprint,
        }
    }
    offsets, end = {}, 0
    for name, (dtype, shape, size) in sizes.items():
        offsets[name] = end
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    return header, {name: len(header) + offset for name, offset in offsets.items()}, len(header) + end


def _resume_at(part: Path, size: int, notes: Path, identity: dict[str, object]) -> int:
    """Return the number of rows that an earlier, interrupted call has completed for the same model and data."""
    try:
        found = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    whole = part.is_file() and part.stat().st_size == size
    same = whole and {key: found.get(key) for key in identity} == identity
    return int(found["done"]) if same else 0


def _put(file: BinaryIO, offset: int, values: np.ndarray) -> None:
    file.seek(offset)
    file.write(values.tobytes())
