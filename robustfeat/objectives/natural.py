"""Standard training on clean images, the baseline without robustness."""

from __future__ import annotations

from robustfeat.numerics import losses
from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective
from robustfeat.objectives.ranges import below_one
from robustfeat.objectives.views import Views


@OBJECTIVES.register("natural")
class Natural(Objective):
    """Cross-entropy of the student on clean images.

    Args:
        label_smoothing: share of each label that is spread over all classes.
    """

    robust = False

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        below_one(label_smoothing=label_smoothing)
        self.label_smoothing = label_smoothing

    def inner(self, views: Views) -> Loss | None:
        return None

    def forward(self, views: Views) -> Losses:
        loss = losses.cross_entropy(views.student_clean.logits, views.labels, self.label_smoothing)
        return Losses({"ce": loss.mean()}, {})
