"""A training batch of 256 images as large as CIFAR-10's: gather, crop by 4, flip, scale to [0, 1], channels last.

Against the literal way: gather, scale, pad and index floats, with an index for every pixel of every channel. Seconds are those of
the processor, which a GPU waits for as much as for its own; they hardly depend on what else the machine does.
"""

from __future__ import annotations

import time

import torch
from side_by_side import ratio
from torch import Tensor
from torch.nn import functional as F

from robustfeat.data import Augment, Loader, MemoryImages
from robustfeat.numerics.random import Stream, generator

N, IMAGES, CROP, SIDE = 256, 50_000, 4, 32


class Ours:
    def __init__(self, images: Tensor) -> None:
        data = MemoryImages("random", images, torch.arange(IMAGES) % 10)
        self.loader = Loader(data, N, 0, Augment(CROP, True), layout=torch.channels_last)
        self.step = 0

    def __call__(self) -> Tensor:
        (batch,) = self.loader.step(self.step)
        self.step += 1
        return batch.images


class Literal:
    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.order = torch.randperm(IMAGES, generator=generator(0, Stream.ORDER, 0))
        self.step = 0

    def __call__(self) -> Tensor:
        rows = self.order[self.step * N : (self.step + 1) * N]
        draws = torch.rand(5, N, generator=generator(0, Stream.AUGMENT, self.step, 0))
        self.step += 1
        padded = F.pad(self.images[rows].float().div_(255), [CROP] * 4)
        y = (draws[0] * (2 * CROP + 1)).long()[:, None] + torch.arange(SIDE)
        x = (draws[1] * (2 * CROP + 1)).long()[:, None] + torch.arange(SIDE)
        x = torch.where(draws[2, :, None] < 0.5, x.flip(1), x)
        example, channel = torch.arange(N).view(N, 1, 1, 1), torch.arange(3).view(1, 3, 1, 1)
        found = padded[example, channel, y.view(N, 1, SIDE, 1), x.view(N, 1, 1, SIDE)]
        return found.contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    images = torch.randint(256, (IMAGES, 3, SIDE, SIDE), generator=generator(0), dtype=torch.uint8)
    ours, literal = Ours(images), Literal(images)
    print(f"equal bit for bit: {all(torch.equal(ours(), literal()) for _ in range(3))}")
    a, b, r = ratio(ours, literal, rounds=31, clock=time.process_time)
    print(f"Loader {a * 1000:.1f} ms, literal {b * 1000:.1f} ms per batch of {N}: {1 / r:.1f} times faster")
