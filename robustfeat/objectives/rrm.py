"""RRM, Vaishnavi et al. 2022 (USENIX Security, arXiv 2202.09994): matches a robust teacher's features, on clean images only."""

from __future__ import annotations

import torch

from robustfeat.numerics import losses
from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.pair import need_labels, to_teacher
from robustfeat.objectives.ranges import not_negative
from robustfeat.objectives.views import Views


@OBJECTIVES.register("rrm")
class RRM(Objective):
    """Robust representation matching: the cosine of features dominates the loss, and the labels have a small weight.

        L = ce CE(S(x), y) - cos(g(f_S(x)), f_T(x))

    g is the identity if the widths agree, which the authors require, otherwise one trained linear layer.

    Args:
        ce: weight of the cross-entropy; the authors use 0.005 on CIFAR-10.
    """

    needs_teacher = True
    # No attack, but robustness is what it is for: `robust` stays True and held-out robust accuracy chooses.

    def __init__(self, ce: float = 0.005) -> None:
        super().__init__()
        not_negative(ce=ce)
        self.ce = ce

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        self.student_side = to_teacher(spaces, self.name, generator)
        need_labels(spaces, self.name)

    def inner(self, views: Views) -> Loss | None:
        return None

    def forward(self, views: Views) -> Losses:
        features, logits = views.student_clean
        ce = losses.cross_entropy(logits, views.labels).mean()
        distance = losses.cosine_distance(self.student_side(features), views.teacher_clean.features).mean()
        return Losses({"ce": self.ce * ce, "cosine": distance - 1}, {})
