"""This module reads IDX files, the format of MNIST and of data sets that follow it."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from robustfeat.data.memory import MemoryImages
from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.base import Source
from robustfeat.runtime.registry import unknown

PREFIX = {"train": "train", "test": "t10k"}


@SOURCES.register("idx")
class IDX(Source):
    """A folder with the gzipped files of MNIST, such as train-images-idx3-ubyte.gz; the classes are numbers."""

    breadth = 1

    def takes(self, name: str) -> bool:
        return any(holds(Path(name).expanduser(), split) for split in PREFIX)

    def open(self, name: str, split: str) -> MemoryImages:
        folder = Path(name).expanduser()
        if split not in PREFIX or not holds(folder, split):
            raise unknown("split", split, [known for known in PREFIX if holds(folder, known)])
        images, labels = read(folder, split)
        return MemoryImages(name, images, labels, tuple(map(str, range(10))))


def holds(folder: Path, split: str) -> bool:
    """Return whether the folder has the two files of a split."""
    return all(path.is_file() for path in _paths(folder, split))


def _paths(folder: Path, split: str) -> tuple[Path, Path]:
    return folder / f"{PREFIX[split]}-images-idx3-ubyte.gz", folder / f"{PREFIX[split]}-labels-idx1-ubyte.gz"


def read(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Read the images and the labels of a split.

    Returns:
        Images as uint8 RGB (n, 3, h, w), and labels (n,).

    Raises:
        ValueError: if a file is truncated or has another format.
    """
    image_path, label_path = _paths(folder, split)
    grey, labels = _array(image_path, 3), _array(label_path, 1)
    if len(grey) != len(labels):
        raise ValueError(f"{image_path} has {len(grey)} images, {label_path} has {len(labels)} labels")
    images = torch.from_numpy(grey)[:, None].repeat(1, 3, 1, 1)
    return images, torch.from_numpy(labels).long()


def _array(path: Path, dimensions: int) -> np.ndarray:
    """Parse magic (two zero bytes, type 8 = uint8, number of dimensions), one big-endian length per dimension, then the data."""
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
