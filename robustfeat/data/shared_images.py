"""This module finds the images that two data sets have in common, by comparing their pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from robustfeat.data.store import ImageDataset

BATCH = 256


def overlap(first: ImageDataset, second: ImageDataset) -> Tensor:
    """Return which images of `second` are also in `first`, whatever their labels: bool (len(second),)."""
    if first.image_size != second.image_size:
        return torch.zeros(len(second), dtype=torch.bool)
    known = set(_digests(first))
    return torch.tensor([digest in known for digest in _digests(second)], dtype=torch.bool)


def _digests(data: ImageDataset) -> Iterator[bytes]:
    """Yield one digest per image, equal for equal pixels."""
    for start in range(0, len(data), BATCH):
        pixels = data.pixels(torch.arange(start, min(start + BATCH, len(data)))).cpu().contiguous().numpy()
        yield from (hashlib.blake2b(image.data, digest_size=16).digest() for image in pixels)
