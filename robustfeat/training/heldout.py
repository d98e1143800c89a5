"""Clean and robust accuracy of a network with its own head on held-out images, which select the best weights of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from robustfeat.attacks import PGD, Threat
from robustfeat.backbones.modes import evaluating
from robustfeat.backbones.network import Network
from robustfeat.data import ImageDataset
from robustfeat.numerics import losses
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Batch, Images, Labels, Loss, PerExample
from robustfeat.runtime.parallel import mean_over_processes, rank, world_size


class Accuracy(NamedTuple):
    """Accuracy on clean images and under PGD, in [0, 1]."""

    clean: float
    robust: float


def measure(
    network: Network, data: ImageDataset, threat: Threat, steps: int, *, batch_size: int, seed: int
) -> Accuracy:
    """Measure clean accuracy and accuracy under PGD on the cross-entropy.

    The processes share the batches and all return the same result.

    Args:
        network: the network with its head.
        data: the labelled held-out images.
        threat: the threat model of the attack.
        steps: PGD steps; 0 runs no attack, and the robust accuracy is then 0.
        batch_size: images per batch.
        seed: seed of the random starts.
    """
    attack = PGD(threat, steps=steps) if steps else None
    device = network.mean.device
    correct = torch.zeros(2, dtype=torch.float64)
    with evaluating(network):
        for i, batch in own_batches(data, batch_size, device):
            images, labels = batch.images, batch.labels
            assert labels is not None
            with torch.no_grad():
                right = network(images).logits.argmax(1) == labels
            correct[0] += right.sum().cpu()
            if attack is not None and right.any():
                images, labels = images[right], labels[right]
                random = generator(seed, Stream.HELD_OUT, i, device=device)
                attacked = attack(_loss(network, labels), images, generator=random)
                with torch.no_grad():
                    correct[1] += (network(attacked).logits.argmax(1) == labels).sum().cpu()
    return Accuracy(*mean_of(correct, len(data), device))


def own_batches(data: ImageDataset, batch_size: int, device: torch.device) -> Iterator[tuple[int, Batch]]:
    """Yield this process's share of the batches, each with its number among all."""
    for i, batch in enumerate(data.batches(batch_size)):
        if i % world_size() == rank():
            yield i, batch.to(device)


def mean_of(sums: Tensor, images: int, device: torch.device) -> tuple[float, float]:
    """Return the means of two sums over the images of all processes."""
    first, second = mean_over_processes(sums.to(device)) * world_size() / images
    return float(first), float(second)


def _loss(network: Network, labels: Labels) -> Loss:
    def loss(images: Images) -> PerExample:
        return losses.cross_entropy(network(images).logits, labels)

    return loss
