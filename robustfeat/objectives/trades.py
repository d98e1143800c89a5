"""TRADES, Zhang et al. 2019: CE(S(x)) + beta KL(S(x) || S(x')), x' raising the same KL."""

from __future__ import annotations

import torch

from robustfeat.numerics import losses
from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective
from robustfeat.objectives.ranges import below_one, not_negative
from robustfeat.objectives.views import Views


@OBJECTIVES.register("trades")
class TRADES(Objective):
    """Accuracy on clean images plus stability of the prediction around them.

    Gradients flow through both S(x) and S(x'), as in the authors' code. That code differs in two points: the attack starts at x
    plus normal noise of 0.001, here anywhere in the ball, and its older versions attack in training mode.

    Args:
        beta: weight of the stability term; the authors use 6.
        label_smoothing: share of each label that is spread over all classes in CE(S(x)); the KL does not use the label.
    """

    def __init__(self, beta: float = 6.0, label_smoothing: float = 0.0) -> None:
        super().__init__()
        not_negative(beta=beta)
        below_one(label_smoothing=label_smoothing)
        self.beta, self.label_smoothing = beta, label_smoothing

    def inner(self, views: Views) -> Loss | None:
        student = views.student
        with torch.no_grad():
            target = student(views.clean).logits
        return lambda images: losses.kl(target, student(images).logits)

    def forward(self, views: Views) -> Losses:
        clean = views.student_clean.logits
        ce = losses.cross_entropy(clean, views.labels, self.label_smoothing).mean()
        stability = losses.kl(clean, views.student_attacked.logits).mean()
        return Losses({"ce": ce, "kl": self.beta * stability}, {})
