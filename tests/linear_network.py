"""An extractor so simple that what an attack can do to it is known on paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustfeat.network import Network


class LinearNetwork(Network):
    """features = (pixels - 0.5) @ directions."""

    def __init__(self, directions: Tensor) -> None:
        nn.Module.__init__(self)
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.directions = directions
        self.feature_dim = directions.shape[1]

    def features(self, images: Tensor) -> Tensor:
        return (images - self.mean).flatten(1) @ self.directions
