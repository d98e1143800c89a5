"""Small networks for the checks."""

from __future__ import annotations

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import Network, new_network


def small_network(seed: int, name: str = "cnn_tiny", classes: int = 4) -> Network:
    """Return an untrained network for 8x8 images.

    Equal seeds give equal networks; the global random state does not change.
    """
    return new_network(Architecture(name, classes=classes, image_size=8), seed)
