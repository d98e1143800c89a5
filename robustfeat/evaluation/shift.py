"""How far an attack on the features themselves can move them."""

from __future__ import annotations

from typing import NamedTuple

import torch

from robustfeat.attacks import Attack
from robustfeat.backbones.modes import evaluating
from robustfeat.data import ImageDataset
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, PerExample
from robustfeat.runtime.progress import Progress


class Shift(NamedTuple):
    """Features of the same images, clean and attacked, (n, d) each, on the CPU."""

    clean: Features
    attacked: Features

    @property
    def distances(self) -> PerExample:
        """|f(x + d) - f(x)|, (n,)."""
        return (self.attacked - self.clean).norm(dim=1)

    @property
    def relative(self) -> float:
        """E |f(x + d) - f(x)| / E |f(x)|: 0 for features that stay, about 1 for features that can be moved anywhere."""
        return float(self.distances.mean() / self.clean.norm(dim=1).mean())

    @property
    def cosine(self) -> float:
        """Mean cosine between clean and attacked features, in [-1, 1]."""
        return float(torch.nn.functional.cosine_similarity(self.clean, self.attacked).mean())


def feature_shift(
    extractor: FeatureExtractor,
    data: ImageDataset,
    attack: Attack,
    *,
    batch_size: int = 256,
    seed: int = 0,
    progress: bool = False,
) -> Shift:
    """Attack each image to move its features as far as possible, in Euclidean distance. No label and no task is needed.

    The clean image is a minimum of that distance: the attack must start elsewhere (`start="random"`, the default of PGD).
    What is found is a lower bound on how far features can be moved.
    """
    clean, attacked = [], []
    with evaluating(extractor), Progress("feature shift", len(data), quiet=not progress) as bar:
        for start, batch in enumerate(data.batches(batch_size)):
            images = batch.images.to(extractor.device)
            with torch.no_grad():
                here = extractor(images)
            random = generator(seed, Stream.SHIFT, start, device=extractor.device)
            moved = attack(_DistanceFrom(extractor, here), images, generator=random)
            with torch.no_grad():
                attacked.append(extractor(moved).cpu())
            clean.append(here.cpu())
            bar.advance(len(batch))
    if not clean:
        raise ValueError(f"data set {data.name!r} is empty; there is nothing to attack")
    return Shift(torch.cat(clean), torch.cat(attacked))


class _DistanceFrom:
    """images -> distance of their features from given ones."""

    def __init__(self, extractor: FeatureExtractor, here: Features) -> None:
        self.extractor, self.here = extractor, here

    def __call__(self, images: torch.Tensor) -> PerExample:
        # Not the square root at 0, where it has no gradient.
        return ((self.extractor(images) - self.here).pow(2).sum(dim=1) + 1e-12).sqrt()
