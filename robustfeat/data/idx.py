"""IDX files, the format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
PREFIX = {"train": "train", "test": "t10k"}


def _paths(folder: Path, split: str) -> tuple[Path, Path]:
    prefix = PREFIX.get(split, split)
    return folder / f"{prefix}-images-idx3-ubyte.gz", folder / f"{prefix}-labels-idx1-ubyte.gz"


def holds(folder: Path, split: str) -> bool:
    """Whether the folder has the two files of a split."""
    return all(path.is_file() for path in _paths(folder, split))


def read(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Images as uint8 RGB (n, 3, h, w) and labels (n,). Raises ValueError for a truncated or foreign file."""
    image_path, label_path = _paths(folder, split)
    grey, labels = _array(image_path, 3), _array(label_path, 1)
    if len(grey) != len(labels):
        raise ValueError(f"{image_path} has {len(grey)} images, {label_path} has {len(labels)} labels")
    images = torch.from_numpy(grey)[:, None].repeat(1, 3, 1, 1)
    return images, torch.from_numpy(labels).long()


def _array(path: Path, dimensions: int) -> np.ndarray:
    """Magic (two zero bytes, type 8 = uint8, number of dimensions), one big-endian length per dimension, then the data."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}); install the data set again") from error
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes((0, 0, 8, dimensions)):
        raise ValueError(f"{path} is not an IDX file of {dimensions}-dimensional bytes")
    shape = np.frombuffer(content[4:header], dtype=">u4").astype(int)
    if len(content) - header != int(np.prod(shape)):
        raise ValueError(f"{path} announces {int(np.prod(shape))} bytes and has {len(content) - header}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape).copy()
