"""This module defines the common interface of data sets, whether they are in memory or decoded on demand."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, TypeVar

import torch
from torch import Tensor

from robustfeat.data.rows import Rows, check_count, picked, picked_names, row_numbers
from robustfeat.data.split import Split
from robustfeat.numerics.pixels import check_pixels
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Batch, Images

OnError = Literal["raise", "skip"]
D = TypeVar("D", bound="ImageDataset")


def check_images(images: Tensor) -> Images:
    """Return `images` after checking that they are float (n, c, h, w) with 1 or 3 channels and finite values in [0, 1].

    Raises:
        TypeError: if `images` is not a tensor.
        ValueError: for another shape, dtype or range; the message describes what was found.
    """
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a torch tensor (n, c, h, w), got {type(images).__name__}")
    if images.ndim != 4:
        raise ValueError(f"images must have 4 dimensions (n, c, h, w), got shape {tuple(images.shape)}")
    if images.shape[1] not in (1, 3):
        hint = "; the channels come last, use images.permute(0, 3, 1, 2)" if images.shape[3] in (1, 3) else ""
        raise ValueError(f"images must have 3 channels (or 1), got shape {tuple(images.shape)}{hint}")
    check_pixels(images)
    return images


class ImageDataset(ABC):
    """A data set gives images and labels by row number.

    Attributes:
        name: the name of the source.
        labels: int64 (n,) on the CPU, or None.
        classes: the names of the classes, in order.
        image_size: pixels per side.
        masks: bool (n, h, w) on the CPU, True where an image is anomalous; None for data without masks.
        files: the file name of each image, as the source has it; None for data whose images are not in files of their own.
        split: the split that `dataset` was called with, such as "train[:90%]"; "" for a data set from another source.
    """

    name: str
    labels: Tensor | None
    classes: tuple[str, ...]
    image_size: int
    masks: Tensor | None = None
    files: tuple[str, ...] | None = None
    split: str = ""

    def __repr__(self) -> str:
        """Return a summary such as `ImageDataset('cifar10', test, 10000 images 32x32, 10 classes)`."""
        size = f"{len(self)} images {self.image_size}x{self.image_size}"
        labels = "no labels" if self.labels is None else f"{len(self.classes) or 'unnamed'} classes"
        parts = [repr(self.name), self.split, size, labels, "" if self.masks is None else "masks"]
        return f"ImageDataset({', '.join(filter(None, parts))})"

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def pixels(self, rows: Tensor) -> Tensor:
        """Return the images of these rows (int64 numbers on the CPU) as uint8 (len(rows), 3, h, w)."""

    @abstractmethod
    def _keep(self, rows: Tensor) -> None:
        """Keep the pixels of these rows only; `self` is a copy of its own."""

    def take(self: D, rows: Rows) -> D:
        """Return the data set of these rows only, in this order: row numbers, a mask or a slice, as in NumPy (`row_numbers`)."""
        numbers = row_numbers(rows, len(self))
        some = copy.copy(self)
        some.labels, some.masks = picked(self.labels, numbers), picked(self.masks, numbers)
        some.files = picked_names(self.files, numbers)
        some._keep(numbers)
        return some

    def on(self, device: torch.device | str) -> ImageDataset:
        """Return the same data set with its pixels on a device if they are in memory; decoded images stay on the CPU."""
        return self

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hex digest of the content: equal for equal content, different otherwise."""

    def head(self, n: int | None) -> ImageDataset:
        """Return the first n rows, or a share of each class if the data is sorted by class; all rows for None or a larger n."""
        if n is None:
            return self
        check_count(n, "n")
        if n >= len(self):
            return self
        return self.take(Split("", None, str(n)).rows(len(self), self.labels))

    def shots(self, n: int, seed: int = 0) -> ImageDataset:
        """Return n random images of each class, for few-shot learning.

        Args:
            n: images per class.
            seed: the seed of the random choice.

        Raises:
            ValueError: if a class has fewer than n images, or there are no labels.
        """
        check_count(n, "shots")
        labels = self.require_labels()
        order = torch.randperm(len(labels), generator=generator(seed, Stream.SHOTS))
        chosen = []
        for c in labels.unique().tolist():
            rows = order[labels[order] == c]
            if n > len(rows):
                raise ValueError(
                    f"shots must be in 1..{len(rows)}, the images of class {c} in {self.name!r}; got {n!r}"
                )
            chosen.append(rows[:n])
        return self.take(torch.cat(chosen).sort().values)

    def require_labels(self) -> Tensor:
        """Return the labels.

        Raises:
            ValueError: if the data has none.
        """
        if self.labels is None:
            raise ValueError(f"data set {self.name!r} has no labels; name their column with label=...")
        return self.labels

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which classes can be matched with those of other data; empty if they are only the numbers."""
        numbers = tuple(map(str, range(len(self.classes))))
        return () if self.classes == numbers else self.classes

    def numbered_as(self, names: tuple[str, ...]) -> ImageDataset:
        """Return the same images, each class with its number in `names`, some of which may have no images here.

        Raises:
            ValueError: if a class is not among the names, a name occurs twice, or a label has no name.
        """
        if names == self.classes:
            return self
        if more := sorted(set(self.classes) - set(names)):
            raise ValueError(
                f"classes of {self.name!r} do not match: {', '.join(map(repr, more))} is not among the names of the other data "
                f"set, {', '.join(map(repr, names))}; rename the classes, or leave out what is not in both"
            )
        if len({*names}) < len(names) or len({*self.classes}) < len(self.classes):
            raise ValueError(
                f"classes of {self.name!r} do not match those of the other data set: a name is there twice"
            )
        labels = self.require_labels()
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.classes):
            raise ValueError(f"{self.name!r} has labels that are no number of its {len(self.classes)} classes")
        same = copy.copy(self)
        same.labels = torch.tensor([names.index(name) for name in self.classes])[labels]
        same.classes = names
        return same

    def batch(self, rows: Tensor) -> Batch:
        """Return float32 images in [0, 1] with labels and row numbers."""
        labels = None if self.labels is None else self.labels[rows]
        return Batch(self.pixels(rows).float().div_(255), labels, rows)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Yield all rows once, in data order, in batches of at most `batch_size`."""
        for start in range(0, len(self), batch_size):
            yield self.batch(torch.arange(start, min(start + batch_size, len(self))))

    def mean_std(self, images: int = 10_000) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Return the mean and the standard deviation of each channel over the pixels of `head(images)`."""
        some = self.head(images)
        pixels = some.pixels(torch.arange(len(some))).double().div_(255)
        mean, std = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3)).clamp_min(1e-3)
        return tuple(mean.tolist()), tuple(std.tolist())


def content_digest(*parts: Tensor | None, source: str = "") -> str:
    """Return the hex sha256 of a text and of the bytes of the tensors that are not None."""
    digest = hashlib.sha256(source.encode())
    for part in parts:
        if part is not None:
            digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()
