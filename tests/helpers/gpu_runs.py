"""Short trainings that need no data set, for the tests of a GPU."""

from __future__ import annotations

import torch

from robustfeat.data import MemoryImages
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.random import generator
from robustfeat.objectives import GACD

RECIPE = Recipe(
    data="patterns", train="train", held_out="test", student="cnn_tiny", stem="timm", steps=2, max_steps=30, batch_size=64,
    lr=0.02, crop=1, cutout=2, ema=0.9, eval_epochs=100, eval_images=64, eval_steps=2, checkpoint_minutes=60, log_steps=1,
)  # fmt: skip


def gacd() -> GACD:
    """With all its parts that hold tensors."""
    return GACD(bank=16, symmetric=True)


def patterns(n: int, seed: int) -> MemoryImages:
    """Four patterns of 8x8 pixels under noise."""
    random = generator(seed)
    centres = torch.rand(4, 3, 8, 8, generator=generator(99))
    labels = torch.arange(n) % 4
    images = (centres[labels] + 0.15 * torch.randn(n, 3, 8, 8, generator=random)).clamp(0, 1)
    return MemoryImages("patterns", (255 * images).byte(), labels, tuple("abcd"))
