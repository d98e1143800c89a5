"""This module registers CIFAR-10 by its name."""

from __future__ import annotations

from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.named_set import NamedSet


@SOURCES.register("cifar10")
class CIFAR10(NamedSet):
    """CIFAR-10: 10 classes of objects in 32x32 pixels, 50,000 training and 10,000 test images."""

    hub_id = "uoft-cs/cifar10"
