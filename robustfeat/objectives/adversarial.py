"""Adversarial training, Madry et al. 2018: min over weights of the mean of max over x' of CE(S(x'), y)."""

from __future__ import annotations

from robustfeat.attacks import PGD, Threat
from robustfeat.numerics import losses
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import InnerAttack, Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective
from robustfeat.objectives.own_eps import OwnEps
from robustfeat.objectives.ranges import below_one
from robustfeat.objectives.views import Views


@OBJECTIVES.register("at")
class AdversarialTraining(Objective):
    """Adversarial training: cross-entropy on images that are attacked to raise it.

    Args:
        label_smoothing: share of each label that is spread over all classes, in training only.
        eps_spread: the attack's size ranges from (1 - eps_spread) eps, on images that the student misclassifies, to (1 +
            eps_spread) eps, on those that it classifies with confidence (`own_eps`); 0 uses eps for all.
    """

    def __init__(self, label_smoothing: float = 0.0, eps_spread: float = 0.0) -> None:
        super().__init__()
        below_one(label_smoothing=label_smoothing, eps_spread=eps_spread)
        self.label_smoothing, self.eps_spread = label_smoothing, eps_spread

    def attack(self, threat: Threat, steps: int, step_size: Eps | None) -> InnerAttack:
        attack = PGD(threat, steps=steps, step_size=step_size, keep="last")
        return OwnEps(attack, self.eps_spread) if self.eps_spread else attack

    def inner(self, views: Views) -> Loss | None:
        student, labels = views.student, views.labels
        return lambda images: losses.cross_entropy(student(images).logits, labels)

    def forward(self, views: Views) -> Losses:
        loss = losses.cross_entropy(views.student_attacked.logits, views.labels, self.label_smoothing)
        return Losses({"ce": loss.mean()}, {})
