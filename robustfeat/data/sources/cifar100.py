"""This module registers CIFAR-100 by its name."""

from __future__ import annotations

from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.named_set import NamedSet


@SOURCES.register("cifar100")
class CIFAR100(NamedSet):
    """CIFAR-100: 100 classes of objects (the fine labels) in 32x32 pixels, 50,000 training and 10,000 test images."""

    hub_id = "uoft-cs/cifar100"
    label = "fine_label"
