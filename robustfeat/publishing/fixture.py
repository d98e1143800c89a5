"""This module keeps features of two synthetic images in the card, so that a loaded model can be verified to compute them.

They are computed in double precision. In single precision the kernels of different processors round differently, by up to 1e-5 of
the largest feature (measured on mobilenetv2_100), which a check to 1e-6 would mistake for another model.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from robustfeat.features.card import Fixture
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.types import Features, Images

KEPT = 16  # numbers of each image, spread over its features, beside their norm
EXACT, SINGLE = 1e-6, 1e-4  # of the largest feature: in double precision, and as features are computed in use


def fixture_images(side: int) -> Images:
    """Return two images (2, 3, side, side) of waves, in steps of 1/255, from a formula, so that no files are needed."""
    y, x = torch.meshgrid(*[torch.arange(side, dtype=torch.float64) / side] * 2, indexing="ij")
    waves = [[torch.sin(2 * math.pi * (k * x + (c + 1) * y) + c + 0.3) for c in range(3)] for k in (1, 2)]
    images = torch.stack([torch.stack(channels) for channels in waves])
    return ((images + 1) * 127.5).round().div(255).float()


def fixture(extractor: FeatureExtractor) -> Fixture:
    """Return the fixture of a card: positions, the features of both images there, and the norms of all features."""
    features = _exact(extractor)
    positions = _positions(features.shape[1])
    kept = tuple(map(tuple, features[:, positions].tolist()))
    return Fixture(tuple(positions.tolist()), kept, tuple(features.norm(dim=1).tolist()))


def same_features(extractor: FeatureExtractor) -> bool:
    """Return whether the features of the two images are those in the card.

    They must agree to 1e-6 of the largest feature in double precision, and to 1e-4 as `transform` computes them here.

    Raises:
        ValueError: if the card has no fixture.
    """
    kept = extractor.card.fixture
    if kept is None:
        raise ValueError(f"the card of {extractor.card.name!r} holds no features to compare with; it was not published")
    images = fixture_images(extractor.card.architecture.image_size)
    used = torch.from_numpy(extractor.transform(images)).double()
    return _deviation(_exact(extractor), kept) <= EXACT and _deviation(used, kept) <= SINGLE


def _deviation(features: Tensor, kept: Fixture) -> float:
    """Return the largest difference in units of the largest feature; infinite if the widths differ."""
    positions = _positions(features.shape[1])
    if list(kept.positions) != positions.tolist():
        return math.inf
    numbers = torch.cat([features[:, positions], features.norm(dim=1, keepdim=True)], dim=1)
    there, norms = (torch.tensor(values, dtype=torch.float64) for values in (kept.features, kept.norms))
    expected = torch.cat([there, norms[:, None]], dim=1)
    return float((numbers - expected).abs().max() / features.abs().max().clamp_min(1e-30))


def _positions(width: int) -> Tensor:
    return torch.linspace(0, width - 1, min(KEPT, width)).round().long()


@torch.no_grad()
def _exact(extractor: FeatureExtractor) -> Features:
    """Compute the features in double precision, on the CPU."""
    network = copy.deepcopy(extractor.network).cpu().double().eval()
    return network.features(fixture_images(extractor.card.architecture.image_size).double())
