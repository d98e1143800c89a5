"""Extractors and attacks in every precision: features as in float32, and balls that hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from robustfeat.attacks import APGD, FGSM, PGD, Attack, Noise, Square, Threat
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator

IMAGES = torch.rand(8, 3, 8, 8, generator=generator(0))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 1e-3), (torch.bfloat16, 1e-2), (torch.float64, 1e-6)], ids=str
)
def test_features_are_those_of_float32(dtype: torch.dtype, tolerance: float, extractor: FeatureExtractor) -> None:
    expected = extractor.transform(IMAGES)
    found = extractor.to(dtype).transform(IMAGES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())
    assert extractor(IMAGES).isfinite().all()


@pytest.mark.parametrize("weights", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("images", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "kind", [partial(PGD, steps=3), partial(APGD, steps=3), FGSM, partial(Square, queries=5), Noise]
)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_keep_their_ball(
    norm: str, kind: Callable[[Threat], Attack], images: torch.dtype, weights: torch.dtype, extractor: FeatureExtractor
) -> None:
    extractor.to(weights)
    clean, attack = IMAGES.to(images), kind(Threat(norm))  # type: ignore[arg-type]
    attacked = attack(lambda x: extractor(x).float().square().sum(1), clean, generator=generator(1))
    delta = (attacked.double() - clean.double()).flatten(1)
    size = delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)
    assert attacked.dtype == images
    assert size.max() <= attack.threat.eps * (1 + (1e-12 if images == torch.float64 else 5e-6))
    assert 0 <= attacked.min() <= attacked.max() <= 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_images_that_round_the_ball_away_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match="give float32 images"):
        FGSM()(lambda x: x.flatten(1).sum(1), IMAGES.to(dtype))


def test_a_default_of_float64(extractor: FeatureExtractor) -> None:
    expected = extractor.transform(IMAGES)
    attacked = PGD(steps=3)(lambda x: extractor(x).sum(1), IMAGES, generator=generator(1))
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(extractor.transform(IMAGES), expected)
        again = PGD(steps=3)(lambda x: extractor(x).sum(1), IMAGES, generator=generator(1))
    finally:
        torch.set_default_dtype(torch.float32)
    assert again.dtype == torch.float32
    torch.testing.assert_close(again, attacked, atol=2 * 8 / 255, rtol=0)  # the start is drawn in another precision
