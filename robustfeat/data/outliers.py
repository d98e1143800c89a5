"""This module combines two data sets into one, for tasks that must distinguish them."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from robustfeat.data.rows import picked_names
from robustfeat.data.store import ImageDataset


def with_outliers(inside: ImageDataset, outside: ImageDataset, classes: int = 0) -> ImageDataset:
    """Return the images of `inside` followed by those of `outside`, whose labels continue after the classes of `inside`.

    Args:
        inside: the data set with labels.
        outside: the data set of outliers.
        classes: the number of classes in the training data, where `inside` may lack some of them.

    Raises:
        ValueError: if the images differ in size, or `inside` has no labels.
    """
    return _Both(inside, outside, torch.arange(len(inside) + len(outside)), classes)


class _Both(ImageDataset):
    def __init__(self, inside: ImageDataset, outside: ImageDataset, rows: Tensor, classes: int) -> None:
        if inside.image_size != outside.image_size:
            raise ValueError(
                f"images of {inside.name!r} have {inside.image_size} pixels per side, those of {outside.name!r} "
                f"{outside.image_size}; load both with one image_size"
            )
        self._inside, self._outside, self._rows, self._classes = inside, outside, rows, classes
        known = inside.require_labels()
        count = max(classes, len(inside.classes), int(known.max()) + 1 if len(known) else 0)
        new = torch.zeros(len(outside), dtype=torch.long) if outside.labels is None else outside.labels
        self.labels = torch.cat([known, count + new])[rows]
        self.name = f"{inside.name} and {outside.name}"
        self.classes = (*inside.classes, *outside.classes) if inside.classes else ()
        self.image_size = inside.image_size
        if inside.files is not None and outside.files is not None:
            self.files = picked_names(inside.files + outside.files, rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        return self._inside.names

    def numbered_as(self, names: tuple[str, ...]) -> ImageDataset:
        return _Both(self._inside.numbered_as(names), self._outside, self._rows, self._classes)

    def pixels(self, rows: Tensor) -> Tensor:
        source = self._rows[rows]
        first = source < len(self._inside)
        found = torch.empty(len(rows), 3, self.image_size, self.image_size, dtype=torch.uint8)
        for mine, part, start in ((first, self._inside, 0), (~first, self._outside, len(self._inside))):
            if mine.any():
                found[mine] = part.pixels(source[mine] - start)
        return found

    def _keep(self, rows: Tensor) -> None:
        self._rows = self._rows[rows]

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self._inside.fingerprint}:{self._outside.fingerprint}".encode())
        digest.update(self._rows.contiguous().numpy().data)
        return digest.hexdigest()
