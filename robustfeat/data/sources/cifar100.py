"""CIFAR-100, by its name."""

from __future__ import annotations

from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.named_set import NamedSet


@SOURCES.register("cifar100")
class CIFAR100(NamedSet):
    """CIFAR-100: 100 kinds of objects in 32x32 pixels, 50,000 images to train on and 10,000 to test; the fine labels."""

    hub_id = "uoft-cs/cifar100"
    label = "fine_label"
