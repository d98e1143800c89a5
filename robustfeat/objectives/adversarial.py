"""Adversarial training, Madry et al. 2018: min over weights of the mean of max over x' of CE(S(x'), y)."""

from __future__ import annotations

from robustfeat import losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective
from robustfeat.objectives.ranges import smoothing
from robustfeat.objectives.views import Views
from robustfeat.types import Loss, Losses


@OBJECTIVES.register("at")
class AdversarialTraining(Objective):
    """Cross-entropy on images that were attacked to raise it.

    Args:
        label_smoothing: share of each label that is spread over all classes, in training only.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        smoothing(label_smoothing=label_smoothing)
        self.label_smoothing = label_smoothing

    def inner(self, views: Views) -> Loss | None:
        student, labels = views.student, views.labels
        return lambda images: losses.cross_entropy(student(images).logits, labels)

    def forward(self, views: Views) -> Losses:
        loss = losses.cross_entropy(views.student_attacked.logits, views.labels, self.label_smoothing)
        return Losses({"ce": loss.mean()}, {})
