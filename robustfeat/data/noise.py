"""This module adds label noise: it replaces a share of the labels by random wrong ones, to study teachers that make errors."""

from __future__ import annotations

import copy

import torch

from robustfeat.data.memory import MemoryImages
from robustfeat.data.store import ImageDataset
from robustfeat.data.streamed import StreamedImages
from robustfeat.numerics.random import Stream, generator


def with_label_noise(data: ImageDataset, share: float, seed: int = 0) -> ImageDataset:
    """Return the same images with wrong labels for a random share of them; each other class is equally likely.

    Args:
        data: images with labels, in memory or streamed.
        share: the share of wrong labels in [0, 1], rounded to whole images.
        seed: the seed of the random choice.

    Raises:
        ValueError: for a share outside [0, 1], data without labels, or fewer than two classes.
        TypeError: for a data set that combines others.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"label noise must be a share in [0, 1], got {share!r}")
    if not isinstance(data, MemoryImages | StreamedImages):
        raise TypeError(f"labels of {data.name!r} cannot be changed; take the data sets it is made of")
    labels = data.require_labels().clone()
    classes, which = labels.unique(return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{data.name!r} has fewer than two classes; there is no wrong label to give")
    random = generator(seed, Stream.LABEL_NOISE)
    wrong = torch.randperm(len(labels), generator=random)[: round(share * len(labels))]
    steps = torch.randint(1, len(classes), (len(wrong),), generator=random)
    labels[wrong] = classes[(which[wrong] + steps) % len(classes)]
    noisy = copy.copy(data)
    noisy.labels = labels
    return noisy
