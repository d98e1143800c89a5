"""Inner attacks that go further on images that the student is sure of: one size for each image."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustfeat.attacks import PGD
from robustfeat.numerics.types import Images, Loss


@dataclass(frozen=True)
class OwnEps:
    """PGD within eps_i = eps (1 + spread (2 p_i - 1)), p_i = exp(-loss(x_i)); needs one forward pass more.

    Where the loss is a cross-entropy, p_i is what the student gives the label of the clean image: eps_i goes from (1 - spread)
    eps, where it is wrong, to (1 + spread) eps, where it is right by far. Steps grow with it.
    """

    attack: PGD
    spread: float

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images:
        with torch.no_grad():
            right = (-loss(images)).exp()
        sizes = self.attack.threat.eps * (1 + self.spread * (2 * right - 1))
        return self.attack(loss, images, generator=generator, eps=sizes)
