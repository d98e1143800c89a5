"""An extractor so simple that what an attack can do to it is known on paper."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from robustfeat.architecture import Architecture
from robustfeat.card import Card
from robustfeat.extractor import FeatureExtractor
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


@pytest.fixture
def linear_extractor() -> Callable[[Tensor], FeatureExtractor]:
    """directions (192, d) -> an extractor for 8x8 images whose features are that linear map."""

    def make(directions: Tensor) -> FeatureExtractor:
        card = Card("linear", Architecture("linear", image_size=8), directions.shape[1])
        return FeatureExtractor(LinearNetwork(directions), card)

    return make
