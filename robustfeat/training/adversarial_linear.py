"""Adversarial linear fine-tuning ("ALF"): a linear head trained on attacked images, on top of a frozen network."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.attacks import PGD, Threat
from robustfeat.data import ImageDataset
from robustfeat.numerics.logistic import Linear
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, Images
from robustfeat.runtime.progress import Progress


def fit_attacked(
    features: Callable[[Images], Features],
    data: ImageDataset,
    start: Linear,
    threat: Threat,
    mean_square: float,
    *,
    steps: int = 5,
    epochs: int = 3,
    lr: float = 1.0,
    batch_size: int = 128,
    seed: int = 0,
    label: str = "adversarial head",
    quiet: bool = False,
) -> Linear:
    """Minimise cross-entropy on images that PGD attacks through features and head, by SGD with momentum and a cosine rate.

    The protocol of ACL and DynACL takes 25 epochs from scratch; from a head that was fitted on clean images a few suffice.

    Args:
        features: differentiable function in eval mode from images (n, 3, h, w) in [0, 1] to features (n, d).
        data: the labelled training images.
        start: the initial head, on the device of the network.
        threat: the threat model of the attack on the training images.
        mean_square: E|f|^2 over the clean images.
        steps: PGD steps on each batch.
        epochs: passes over the images.
        lr: learning rate in units of 1 / mean_square, so that the scale of the features does not matter.
        batch_size: images per step.
        seed: seed of the order and of the random starts.
        label: the label of the progress bar.
        quiet: whether to hide the progress bar.

    Raises:
        ValueError: if the data has no labels, and for features of a scale at which SGD in float32 loses its steps.
    """
    labels = data.require_labels()
    weight, bias = (values.detach().clone().requires_grad_() for values in start)
    device = weight.device
    if mean_square and not 1e-30 <= mean_square <= 1e30:
        raise ValueError(
            f"features have a mean square length of {mean_square:g}, where steps of SGD are lost in float32; scale them "
            "to about 1"
        )
    rate = lr / (mean_square or 1.0)
    optimizer = torch.optim.SGD([weight, bias], lr=rate, momentum=0.9)
    attack = PGD(threat, steps=steps, keep="last")
    total = epochs * math.ceil(len(data) / batch_size)
    step = 0
    with Progress(label, total, "steps", quiet=quiet) as bar:
        for epoch in range(epochs):
            order = torch.randperm(len(data), generator=generator(seed, Stream.ADVERSARIAL_HEAD, epoch))
            for rows in order.split(batch_size):
                for group in optimizer.param_groups:
                    group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / total))
                images, y = data.batch(rows).images.to(device), labels[rows].to(device)
                loss = _CrossEntropy(features, Linear(weight.detach(), bias.detach()), y)
                attacked = attack(
                    loss, images, generator=generator(seed, Stream.ADVERSARIAL_HEAD, epoch, step, device=device)
                )
                with torch.no_grad():
                    seen = features(attacked)
                F.cross_entropy(F.linear(seen, weight, bias), y).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                step += 1
                bar.advance(1)
    return Linear(weight.detach(), bias.detach())


class _CrossEntropy:
    """The cross-entropy of a head on the features of images."""

    def __init__(self, features: Callable[[Images], Features], head: Linear, labels: Tensor) -> None:
        self.features, self.head, self.labels = features, head, labels

    def __call__(self, images: Tensor) -> Tensor:
        return F.cross_entropy(self.head(self.features(images)), self.labels, reduction="none")
