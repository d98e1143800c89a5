"""This module keeps small data sets in memory."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from robustfeat.data.rows import FileNames
from robustfeat.data.sending import send
from robustfeat.data.store import ImageDataset, content_digest


class MemoryImages(ImageDataset):
    """A data set with all images in memory, as one tensor.

    Args:
        name: the name of the data set.
        images: uint8 (n, 3, h, w).
        labels: class numbers (n,) of an integer type, or None.
        classes: the names of the classes, in order.
        masks: bool (n, h, w), True where an image is anomalous; or None.
        files: the file name of each image, or None.

    Raises:
        ValueError: if a tensor has another shape or dtype, or there is not one file name per image.
    """

    def __init__(
        self,
        name: str,
        images: Tensor,
        labels: Tensor | None,
        classes: Sequence[str] = (),
        masks: Tensor | None = None,
        files: FileNames | None = None,
    ) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be uint8 (n, 3, h, w), got {images.dtype} {tuple(images.shape)}")
        if labels is not None and len(labels) != len(images):
            raise ValueError(f"{len(images)} images but {len(labels)} labels")
        if labels is not None and (labels.ndim != 1 or labels.is_floating_point() or labels.is_complex()):
            raise ValueError(f"labels must be integers (n,), got {labels.dtype} of shape {tuple(labels.shape)}")
        if masks is not None and (masks.dtype != torch.bool or masks.shape != images[:, 0].shape):
            raise ValueError(
                f"masks must be bool {tuple(images[:, 0].shape)}, one per image, got {masks.dtype} {tuple(masks.shape)}"
            )
        if files is not None and len(files) != len(images):
            raise ValueError(f"{len(images)} images but {len(files)} file names")
        self.name = name
        self.images = images
        self.labels = None if labels is None else labels.long()
        self.classes = tuple(classes)
        self.masks = masks
        self.files = files
        self.image_size = images.shape[-1]

    def __len__(self) -> int:
        return len(self.images)

    def pixels(self, rows: Tensor) -> Tensor:
        return self.images.index_select(0, send(rows, self.images.device))

    def on(self, device: torch.device | str) -> MemoryImages:
        same = copy.copy(self)
        same.images = self.images.to(device)
        return same

    def _keep(self, rows: Tensor) -> None:
        self.images = self.images[rows]

    @property
    def fingerprint(self) -> str:
        return content_digest(self.images, self.labels, self.masks)
