"""Inner attacks with a size per image, larger on images that the student classifies with confidence."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustfeat.attacks import PGD
from robustfeat.numerics.types import Images, Loss


@dataclass(frozen=True)
class OwnEps:
    """PGD within eps_i = eps (1 + spread (2 p_i - 1)), p_i = exp(-loss(x_i)); costs one more forward pass.

    If the loss is a cross-entropy, p_i is the student's probability of the label on the clean image: eps_i ranges from (1 -
    spread) eps, where the student is wrong, to (1 + spread) eps, where it is right with confidence. Steps are scaled likewise.

    Args:
        attack: the attack, with its threat model.
        spread: the relative change of eps, in [0, 1).
    """

    attack: PGD
    spread: float

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images:
        with torch.no_grad():
            right = (-loss(images)).exp()
        sizes = self.attack.threat.eps * (1 + self.spread * (2 * right - 1))
        return self.attack(loss, images, generator=generator, eps=sizes)
