"""The shift of features under an attack that targets the features themselves."""

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
    """The features of the same images on the CPU, clean and attacked.

    Args:
        clean: (n, d), the features of the clean images.
        attacked: (n, d), the features of the attacked images.
    """

    clean: Features
    attacked: Features

    @property
    def distances(self) -> PerExample:
        """The shift |f(x + d) - f(x)| of each image, (n,)."""
        return (self.attacked - self.clean).norm(dim=1)

    @property
    def relative(self) -> float:
        """The relative shift E |f(x + d) - f(x)| / E |f(x)|: 0 without any shift, about 1 for arbitrarily movable features."""
        return float(self.distances.mean() / self.clean.norm(dim=1).mean())

    @property
    def cosine(self) -> float:
        """The mean cosine between clean and attacked features, in [-1, 1]."""
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
    """Attack each image to move its features as far as possible in Euclidean distance, without labels and tasks.

    The clean image is a minimum of that distance, so the attack must start from another point (`start="random"`, the default of
    PGD). The result is a lower bound on the largest possible shift.

    Args:
        extractor: the model that is attacked.
        data: the images.
        attack: the attack, which raises the distance.
        batch_size: images per batch.
        seed: of the attack.
        progress: whether a progress bar is shown.

    Returns:
        The clean and attacked features.

    Raises:
        ValueError: if the data set is empty.
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
    """The distance of the features of images from given features, as a function of the images."""

    def __init__(self, extractor: FeatureExtractor, here: Features) -> None:
        self.extractor, self.here = extractor, here

    def __call__(self, images: torch.Tensor) -> PerExample:
        # Not the square root at 0, where it has no gradient.
        return ((self.extractor(images) - self.here).pow(2).sum(dim=1) + 1e-12).sqrt()
