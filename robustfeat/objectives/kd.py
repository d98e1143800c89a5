"""KD, Hinton et al. 2015 (arXiv 1503.02531): the student learns the softened predictions of the teacher on clean images."""

from __future__ import annotations

import torch

from robustfeat.numerics import losses
from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.pair import need_common_classes, need_labels
from robustfeat.objectives.ranges import not_negative, positive
from robustfeat.objectives.views import Views


@OBJECTIVES.register("kd")
class KD(Objective):
    """Knowledge distillation: soft labels of the teacher and hard labels of the data, both on clean images.

        L = T^2 KL(T(x) || S(x)) + ce CE(S(x), y),  both softmax at temperature T in the KL, at 1 in the CE

    T^2 keeps the gradient of the soft term at the scale of the hard one (section 2 of the paper). The paper gives no code and
    several settings; temperature 4 is that of CRD's comparison, which weights the terms 0.9 and 0.1 instead of 1 and 1.

    Args:
        temperature: T.
        ce: weight of the cross-entropy on the labels.
    """

    needs_teacher = True
    robust = False

    def __init__(self, temperature: float = 4.0, ce: float = 1.0) -> None:
        super().__init__()
        positive(temperature=temperature)
        not_negative(ce=ce)
        self.temperature, self.ce = temperature, ce

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        need_common_classes(spaces, self.name)
        need_labels(spaces, self.name)

    def inner(self, views: Views) -> Loss | None:
        return None

    def forward(self, views: Views) -> Losses:
        logits = views.student_clean.logits
        soft = losses.kl(views.teacher_clean.logits, logits, self.temperature).mean()
        hard = losses.cross_entropy(logits, views.labels).mean()
        return Losses({"kl": self.temperature**2 * soft, "ce": self.ce * hard}, {})
