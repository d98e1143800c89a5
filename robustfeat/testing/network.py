"""Small networks to check things with."""

from __future__ import annotations

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import Network, new_network


def small_network(seed: int, name: str = "cnn_tiny", classes: int = 4) -> Network:
    """An untrained network for 8x8 images, the same for the same seed; the global random state is left alone."""
    return new_network(Architecture(name, classes=classes, image_size=8), seed)
