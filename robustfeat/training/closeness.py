"""How close a student's features stay to the teacher's clean ones, which selects the best weights of a run without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch

from robustfeat.attacks import PGD, Threat
from robustfeat.backbones.modes import evaluating
from robustfeat.backbones.network import Network
from robustfeat.data import ImageDataset
from robustfeat.numerics import losses
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, Images, Loss, PerExample
from robustfeat.training.heldout import mean_of, own_batches


class Cosine(NamedTuple):
    """Mean cosine to the teacher's clean features on clean images and under PGD, in [-1, 1]."""

    clean: float
    robust: float


@dataclass(frozen=True)
class Closeness:
    """The closeness of a student's features to the teacher's clean ones, by which its best weights are chosen without labels.

    It stands where `Heads` stands for data with labels; the only head is the one that the student starts with.

    Args:
        teacher: the teacher.
        head: the origin of the student's head.
        held_out: the images that decide.
        threat: the threat model of training.
        eval_steps: PGD steps on held-out images; 0 runs no attack.
        batch_size: images per batch.
        seed: seed of the random starts.
    """

    keys: ClassVar[tuple[str, str]] = ("cosine_clean", "cosine_robust")
    measured: ClassVar[str] = "cosine to the teacher's clean features"

    teacher: Network
    head: Literal["teacher", "none"]
    held_out: ImageDataset
    threat: Threat
    eval_steps: int
    batch_size: int
    seed: int

    @property
    def meanwhile(self) -> Literal["teacher", "none"]:
        """The kind of head with which the network is evaluated during training."""
        return self.head

    def measure(self, network: Network) -> Cosine:
        """Measure the mean cosine of the student's features, clean and attacked, to the teacher's clean features."""
        attack = PGD(self.threat, steps=self.eval_steps) if self.eval_steps else None
        device = network.mean.device
        total = torch.zeros(2, dtype=torch.float64)
        with evaluating(network):
            for i, batch in own_batches(self.held_out, self.batch_size, device):
                with torch.no_grad():
                    anchors = self.teacher.features(batch.images)
                distance = _distance(network, anchors)
                random = generator(self.seed, Stream.HELD_OUT, i, device=device)
                attacked = attack(distance, batch.images, generator=random) if attack else None
                with torch.no_grad():
                    total[0] += (1 - distance(batch.images)).sum().cpu()
                    total[1] += 0 if attacked is None else (1 - distance(attacked)).sum().cpu()
        return Cosine(*mean_of(total, len(self.held_out), device))

    def rank(self, cosine: tuple[float, float]) -> tuple[float, float]:
        """Return the key by which weights are compared, from clean and attacked cosine; larger is better."""
        clean, attacked = cosine
        return attacked, clean


def _distance(network: Network, anchors: Features) -> Loss:
    def distance(images: Images) -> PerExample:
        return losses.cosine_distance(network.features(images), anchors)

    return distance
