"""The folder of a small model."""

from __future__ import annotations

from pathlib import Path

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.testing import small_network


def small_model(folder: Path, *, half: bool = False) -> Path:
    """Save an untrained network, called small, there."""
    network = small_network(0)
    hub.save(folder, network, Card("small", network.architecture, network.feature_dim), half=half)
    return folder
