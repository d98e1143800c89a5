"""Extractions that are killed in a batch, and extractors and images for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robustfeat.data import MemoryImages
from robustfeat.features import Shard
from robustfeat.features.card import Card
from robustfeat.features.extraction import Precision, extract
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator
from robustfeat.testing import small_network


class Killed(BaseException): ...


def noise_images(n: int) -> MemoryImages:
    images = torch.randint(0, 256, (n, 3, 8, 8), generator=generator(0), dtype=torch.uint8)
    return MemoryImages("noise", images, torch.arange(n) % 4 + 1)


def another(seed: int, name: str = "untrained") -> FeatureExtractor:
    network = small_network(seed)
    return FeatureExtractor(network, Card(name, network.architecture, network.feature_dim))


def run(
    extractor: FeatureExtractor,
    data: MemoryImages,
    out: Path,
    stop: int | None = None,
    size: int = 4,
    precision: Precision = "float32",
    shard: Shard | None = None,
) -> int:
    """Extract, killed in batch number `stop`; how many batches were computed."""
    original, done = type(extractor).transform_batch, 0

    def transform_batch(images: torch.Tensor) -> torch.Tensor:
        nonlocal done
        if done == stop:
            raise Killed
        done += 1
        return original(extractor, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractor, "transform_batch", transform_batch)
        try:
            written = extract(extractor, data, out, batch_size=size, precision=precision, shard=shard, progress=False)
            assert written == (out if shard is None else out / shard.file_name)
        except Killed:
            assert stop is not None
        else:
            assert stop is None
    return done
