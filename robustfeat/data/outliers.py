"""Two data sets as one, for tasks that must tell them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from robustfeat.data.store import ImageDataset


def with_outliers(inside: ImageDataset, outside: ImageDataset) -> ImageDataset:
    """The images of `inside`, then those of `outside`, whose labels count on from the classes of `inside`.

    Raises ValueError for images of different size, and where `inside` has no labels.
    """
    return _Both(inside, outside, torch.arange(len(inside) + len(outside)))


class _Both(ImageDataset):
    def __init__(self, inside: ImageDataset, outside: ImageDataset, rows: Tensor) -> None:
        if inside.image_size != outside.image_size:
            raise ValueError(
                f"images of {inside.name!r} have {inside.image_size} pixels per side, those of {outside.name!r} "
                f"{outside.image_size}; load both with one image_size"
            )
        self._inside, self._outside, self._rows = inside, outside, rows
        known = inside.require_labels()
        count = len(inside.classes) or int(known.max()) + 1
        new = torch.zeros(len(outside), dtype=torch.long) if outside.labels is None else outside.labels
        self.labels = torch.cat([known, count + new])[rows]
        self.name = f"{inside.name} and {outside.name}"
        self.classes = (*inside.classes, *outside.classes) if inside.classes else ()
        self.image_size = inside.image_size

    def __len__(self) -> int:
        return len(self._rows)

    def pixels(self, rows: Tensor) -> Tensor:
        source = self._rows[rows]
        first = source < len(self._inside)
        found = torch.empty(len(rows), 3, self.image_size, self.image_size, dtype=torch.uint8)
        found[first] = self._inside.pixels(source[first])
        found[~first] = self._outside.pixels(source[~first] - len(self._inside))
        return found

    def take(self, rows: Sequence[int] | Tensor) -> ImageDataset:
        return _Both(self._inside, self._outside, self._rows[torch.as_tensor(rows, dtype=torch.long)])

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self._inside.fingerprint}:{self._outside.fingerprint}".encode())
        digest.update(self._rows.contiguous().numpy().data)
        return digest.hexdigest()
