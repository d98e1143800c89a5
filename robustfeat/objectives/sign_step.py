"""Adversarial training with a single step: what its methods have in common. They differ in where the step starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from robustfeat.attacks import Goal, Threat
from robustfeat.numerics.types import Images, Loss


class SignStep(ABC):
    """x' = ended(start + eps sign(gradient at start)): a way to make training images, once, and no attack to measure with.

    start: the images that the step began at; known once it was taken.
    """

    start: Images

    def __init__(self, threat: Threat, name: str) -> None:
        """name: of the objective, for the message. Raises ValueError for other norms than linf."""
        if threat.norm != "linf":
            raise ValueError(f"{name} is defined for norm 'linf' only, got {threat.norm!r}; use at with steps=1")
        self.threat = threat

    @abstractmethod
    def begin(self, images: Images, generator: torch.Generator | None) -> Images:
        """Where the step starts, in [0, 1]."""

    def ended(self, stepped: Images, images: Images) -> Images:
        """The training images; those of the ball that are nearest to where the step led, unless the method has its own."""
        return self.threat.around(images).project(stepped)

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images:
        self.start = self.begin(images, generator)
        _, gradient = Goal.of(loss, images).slope(self.start)
        return self.ended(self.start + self.threat.eps * gradient.sign(), images)


def uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Numbers in [-1, 1) of the kind and on the device of `like`, wherever the generator lives."""
    device = like.device if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=device).mul_(2).sub_(1).to(like)
