"""Adversarial training with a single step: the common part of methods that differ in where the step starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from robustfeat.attacks import Goal, Threat
from robustfeat.numerics.types import Images, Loss


class SignStep(ABC):
    """A single step x' = ended(start + eps sign(gradient at start)), for training images only, not for evaluation.

    Args:
        threat: the threat model.
        name: the name of the objective, for error messages.

    Attributes:
        start: the images at which the step began; available after a call.

    Raises:
        ValueError: for norms other than linf.
    """

    start: Images

    def __init__(self, threat: Threat, name: str) -> None:
        """Check the norm."""
        if threat.norm != "linf":
            raise ValueError(f"{name} is defined for norm 'linf' only, got {threat.norm!r}; use at with steps=1")
        self.threat = threat

    @abstractmethod
    def begin(self, images: Images, generator: torch.Generator | None) -> Images:
        """Return the images at which the step starts, in [0, 1]."""

    def ended(self, stepped: Images, images: Images) -> Images:
        """Return the training images: the result of the step, projected onto the ball unless the method overrides this."""
        return self.threat.around(images).project(stepped)

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images:
        self.start = self.begin(images, generator)
        _, gradient = Goal.of(loss, images).slope(self.start)
        return self.ended(self.start + self.threat.eps * gradient.sign(), images)


def uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw numbers in [-1, 1) with the dtype and on the device of `like`, whatever the device of the generator."""
    device = like.device if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=device).mul_(2).sub_(1).to(like)
