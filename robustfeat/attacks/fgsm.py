"""Fast gradient sign method, Goodfellow et al. 2015."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustfeat.attacks.base import ATTACKS, Attack, Strongest, value_and_gradient, warn_if_flat
from robustfeat.types import Images, Loss


@ATTACKS.register("fgsm")
@dataclass(frozen=True)
class FGSM(Attack):
    """One step of length eps along the steepest direction (the sign of the gradient under linf), from the clean image."""

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images:
        values, gradient = value_and_gradient(loss, images)
        warn_if_flat(gradient)
        strongest = Strongest(images, values)
        stepped = self.threat.project(images + self.threat.eps * self.threat.steepest(gradient), images)
        with torch.no_grad():
            strongest.offer(stepped, loss(stepped))
        return strongest.images
