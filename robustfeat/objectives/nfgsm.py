"""N-FGSM, de Jorge et al. 2022: adversarial training with one step, in which strong noise prevents catastrophic overfitting."""

from __future__ import annotations

import torch

from robustfeat.attacks import Threat
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import Images, InnerAttack
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.adversarial import AdversarialTraining
from robustfeat.objectives.ranges import not_negative
from robustfeat.objectives.sign_step import SignStep, uniform


class NoisySignStep(SignStep):
    """The step x + u + eps sign(gradient at x + u), with u uniform in [-noise eps, noise eps], kept in [0, 1].

    It is *not* projected onto the ball and leaves its threat model by design.

    Args:
        threat: the threat model, with norm linf.
        name: the name of the objective, for error messages.
        noise: half width of the uniform noise, in units of eps.
    """

    def __init__(self, threat: Threat, name: str, noise: float) -> None:
        super().__init__(threat, name)
        self.noise = noise

    def begin(self, images: Images, generator: torch.Generator | None) -> Images:
        return (images + self.noise * self.threat.eps * uniform(images.shape, images, generator)).clamp(0, 1)

    def ended(self, stepped: Images, images: Images) -> Images:
        return stepped.clamp(0, 1)


@OBJECTIVES.register("nfgsm")
class NFGSM(AdversarialTraining):
    """Adversarial training on single noisy steps; `steps` and `step_size` of the recipe are not used.

    In the authors' code the student is in training mode during the step, here it is in eval mode.

    Args:
        label_smoothing: share of each label that is spread over all classes, in training only.
        noise: half width of the uniform noise, in units of eps.
    """

    def __init__(self, label_smoothing: float = 0.0, noise: float = 2.0) -> None:
        super().__init__(label_smoothing)
        not_negative(noise=noise)
        self.noise = noise

    def attack(self, threat: Threat, steps: int, step_size: Eps | None) -> InnerAttack:
        return NoisySignStep(threat, self.name, self.noise)
