"""This module registers Fashion-MNIST by its name."""

from __future__ import annotations

from pathlib import Path

from robustfeat.data.memory import MemoryImages
from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.base import Opened
from robustfeat.data.sources.idx import PREFIX, holds, read
from robustfeat.data.sources.named_set import NamedSet, data_folder
from robustfeat.runtime.registry import unknown

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@SOURCES.register("fashion-mnist")
class FashionMNIST(NamedSet):
    """Fashion-MNIST: 10 classes of clothes in 28x28 pixels, 60,000 training and 10,000 test images; also Debian's files."""

    hub_id = "zalando-datasets/fashion_mnist"

    def open(self, name: str, split: str) -> Opened:
        if split not in PREFIX:
            raise unknown("split", split, PREFIX)
        for folder in (data_folder(name), DEBIAN_FOLDER) if name == self.name else ():
            if folder and holds(folder, split):
                return MemoryImages(name, *read(folder, split), CLASSES)
        return super().open(name, split)
