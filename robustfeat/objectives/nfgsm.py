"""N-FGSM, de Jorge et al. 2022: adversarial training with one step, made safe from catastrophic overfitting by strong noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustfeat.attacks import Goal, Threat
from robustfeat.eps import Eps
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.adversarial import AdversarialTraining
from robustfeat.objectives.base import InnerAttack
from robustfeat.objectives.ranges import not_negative
from robustfeat.types import Images, Loss


@dataclass(frozen=True)
class NoisySignStep:
    """x + u + eps sign(gradient at x + u), u uniform in [-noise eps, noise eps], kept in [0, 1] and *not* in the ball.

    It leaves its threat by design, so it is a way to make training images and not an attack to measure with; it lives
    here and not among the attacks.
    """

    threat: Threat
    noise: float = 2.0

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images:
        if self.threat.norm != "linf":
            raise ValueError(f"nfgsm is defined for norm 'linf' only, got {self.threat.norm!r}; use at with steps=1")
        device = images.device if generator is None else generator.device
        uniform = torch.rand(images.shape, generator=generator, device=device).mul_(2).sub_(1).to(images)
        noisy = (images + self.noise * self.threat.eps * uniform).clamp(0, 1)
        _, gradient = Goal.of(loss, images).slope(noisy)
        return (noisy + self.threat.eps * gradient.sign()).clamp(0, 1)


@OBJECTIVES.register("nfgsm")
class NFGSM(AdversarialTraining):
    """Adversarial training on single noisy steps; `steps` and `step_size` of the recipe are not used.

    The authors' code differs: its student is in training mode during the step, ours in eval mode.

    Args:
        label_smoothing: share of each label that is spread over all classes, in training only.
        noise: half width of the uniform noise, in units of eps.
    """

    def __init__(self, label_smoothing: float = 0.0, noise: float = 2.0) -> None:
        super().__init__(label_smoothing)
        not_negative(noise=noise)
        self.noise = noise

    def attack(self, threat: Threat, steps: int, step_size: Eps | None) -> InnerAttack:
        return NoisySignStep(threat, noise=self.noise)
