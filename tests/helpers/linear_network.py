"""An extractor so simple that what an attack can do to it is known on paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustfeat.backbones.network import Network


class LinearNetwork(Network):
    """features = (pixels - 0.5) @ directions, with a head for two classes that knows nothing."""

    def __init__(self, directions: Tensor) -> None:
        nn.Module.__init__(self)
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.directions = directions
        self.feature_dim = directions.shape[1]
        self.blank = nn.utils.skip_init(nn.Linear, self.feature_dim, 2)
        self.blank.requires_grad_(False).weight.zero_()
        self.blank.bias.zero_()

    @property
    def head(self) -> nn.Linear:
        return self.blank

    def features(self, images: Tensor) -> Tensor:
        return (images - self.mean).flatten(1) @ self.directions
