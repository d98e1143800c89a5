"""This module decodes the images of large data sets from the disk on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustfeat.data.rows import FileNames
from robustfeat.data.store import ImageDataset, content_digest


class StreamedImages(ImageDataset):
    """A data set whose images are decoded on demand, by threads: peak memory does not grow with the number of images.

    Args:
        name: the name of the data set.
        decode: maps a row number of the source to a uint8 array (h, w, 3); raises ValueError naming the file and row.
        rows: the row numbers in the source, int64 (n,).
        labels: class numbers (n,), or None.
        classes: the names of the classes, in order.
        image_size: pixels per side.
        source_fingerprint: the fingerprint of the source.
        masks: bool (n, h, w), or None.
        files: the file name of each image, or None.
    """

    def __init__(
        self,
        name: str,
        decode: Callable[[int], np.ndarray],
        rows: Tensor,
        labels: Tensor | None,
        classes: Sequence[str],
        image_size: int,
        source_fingerprint: str,
        masks: Tensor | None = None,
        files: FileNames | None = None,
    ) -> None:
        self.name = name
        self.labels = labels
        self.classes = tuple(classes)
        self.image_size = image_size
        self.masks = masks
        self.files = files
        self._decode = decode
        self._rows = rows
        self._source_fingerprint = source_fingerprint
        self._threads: tuple[int, ThreadPoolExecutor] | None = None  # of the process with this number

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the threads, which cannot be copied."""
        return self.__dict__ | {"_threads": None}

    def __len__(self) -> int:
        return len(self._rows)

    def pixels(self, rows: Tensor) -> Tensor:
        threads = self._threads
        if threads is None or threads[0] != os.getpid():  # a fork has the object, and none of its threads
            threads = self._threads = os.getpid(), ThreadPoolExecutor(max_workers=8, thread_name_prefix="decode")
        images = np.stack(list(threads[1].map(self._decode, self._rows[rows].tolist())))
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()

    def _keep(self, rows: Tensor) -> None:
        self._rows = self._rows[rows]

    @property
    def fingerprint(self) -> str:
        source = f"{self._source_fingerprint}:{self.image_size}"
        return content_digest(self._rows, self.labels, self.masks, source=source)
