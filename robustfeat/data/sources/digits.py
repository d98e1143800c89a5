"""This module reads the handwritten digits that come with scikit-learn."""

from __future__ import annotations

import torch

from robustfeat.data.memory import MemoryImages
from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.base import Source
from robustfeat.numerics.random import generator
from robustfeat.runtime.needed import needed
from robustfeat.runtime.registry import unknown

TRAIN = 1297  # the other 500 are to test


@SOURCES.register("digits")
class Digits(Source):
    """The 1,797 digits of scikit-learn, 8x8 pixels with values 0..16, in two splits by a fixed permutation."""

    def open(self, name: str, split: str) -> MemoryImages:
        with needed("the data set 'digits'", "sklearn", "scikit-learn"):
            from sklearn.datasets import load_digits

        digits = load_digits()
        grey = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8)
        order = torch.randperm(len(grey), generator=generator(0))
        splits = {"train": order[:TRAIN], "test": order[TRAIN:]}
        if split not in splits:
            raise unknown("split", split, splits)
        images = grey[splits[split], None].repeat(1, 3, 1, 1)
        labels = torch.from_numpy(digits.target).long()[splits[split]]
        return MemoryImages(name, images, labels, tuple(map(str, range(10))))
