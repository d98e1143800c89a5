"""This module computes training batches as a function of (seed, step), so a resumed run starts at any step."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch
from torch import Tensor

from robustfeat.data.augment import Augment
from robustfeat.data.sending import send
from robustfeat.data.store import ImageDataset
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Batch


class Loader:
    """Provides shuffled, augmented batches for one of `world` processes.

    Epoch e is a permutation drawn from (seed, e); a last batch that is not full is dropped. Every process computes the same
    global batch of row numbers and takes its own slice, so the order does not depend on the number of processes. Pixels are
    transferred and augmented as uint8, and converted to floats in [0, 1] on the device. Data in memory is moved to the device
    once; then only row numbers are transferred.

    Args:
        data: the training images.
        batch_size: rows per step over all processes and accumulated parts.
        seed: the seed of the order and of the augmentation.
        augment: the augmentation of each batch.
        rank: the number of this process, from 0.
        world: the number of processes.
        parts: the number of pieces that a process divides its share of a batch into (gradient accumulation).
        device: the device of the images.
        layout: the memory format of the images.

    Raises:
        ValueError: if `data` is empty, or a batch has fewer images than `world` x `parts`.
    """

    def __init__(
        self,
        data: ImageDataset,
        batch_size: int,
        seed: int,
        augment: Augment,
        *,
        rank: int = 0,
        world: int = 1,
        parts: int = 1,
        device: torch.device | str = "cpu",
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        if len(data) == 0:
            raise ValueError(f"the training split of {data.name!r} is empty")
        self.batch_size = min(batch_size, len(data))
        pieces = world * parts
        self.batch_size -= self.batch_size % pieces
        if self.batch_size == 0:
            raise ValueError(f"{len(data)} images cannot be shared by {world} processes with {parts} parts each")
        self.data, self.seed, self.augment = data.on(device), seed, augment
        self.device, self.layout = torch.device(device), layout
        self.rank, self.world, self.parts = rank, world, parts
        self.steps_per_epoch = len(data) // self.batch_size
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.data), generator=generator(self.seed, Stream.ORDER, epoch))

    def step(self, step: int) -> list[Batch]:
        """Return the parts of optimiser step number `step` (from 0) for this process."""
        epoch, index = divmod(step, self.steps_per_epoch)
        rows = self._order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        share = self.batch_size // (self.world * self.parts)
        batches = []
        for part in range(self.parts):
            piece = self.rank * self.parts + part
            batches.append(self._batch(rows[piece * share : (piece + 1) * share], step, piece))
        return batches

    def _batch(self, rows: Tensor, step: int, piece: int) -> Batch:
        pixels = send(self.data.pixels(rows), self.device)
        augmented = self.augment(pixels, generator(self.seed, Stream.AUGMENT, step, piece))
        images = augmented.float().div_(255).to(memory_format=self.layout)
        labels = None if self.data.labels is None else send(self.data.labels[rows], self.device)
        return Batch(images, labels, send(rows, self.device))

    def steps(self, start: int) -> Iterator[list[Batch]]:
        """Yield the parts of each step from `start` on, without end; the next step is prepared while the current one is used."""
        with ThreadPoolExecutor(1, "loader", initializer=_use, initargs=(self.device,)) as thread:
            step = start
            following = thread.submit(self.step, step)
            while True:
                current = following.result()
                step += 1
                following = thread.submit(self.step, step)
                yield current


def _use(device: torch.device) -> None:
    """Select the default GPU of a thread: a new thread would otherwise initialise the first GPU for its pinned memory."""
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)
