"""Maker of IDX files."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_idx(folder: Path, split: str, images: np.ndarray, labels: Sequence[int]) -> tuple[Path, Path]:
    """Fashion-MNIST's two files of a split."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = {"train": "train", "test": "t10k"}[split]
    paths = folder / f"{prefix}-images-idx3-ubyte.gz", folder / f"{prefix}-labels-idx1-ubyte.gz"
    for path, values in zip(paths, (images, np.array(labels, dtype=np.uint8)), strict=True):
        shape = b"".join(length.to_bytes(4, "big") for length in values.shape)
        path.write_bytes(gzip.compress(bytes((0, 0, 8, values.ndim)) + shape + values.tobytes()))
    return paths
