"""AdaAD, Huang et al. 2023 (CVPR): attacks where student and teacher disagree most, and trains them to agree there."""

from __future__ import annotations

import torch

from robustfeat.numerics import losses
from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.gradient_matching import gradient_matching
from robustfeat.objectives.pair import need_common_classes
from robustfeat.objectives.ranges import not_negative
from robustfeat.objectives.views import Views


@OBJECTIVES.register("adaad")
class AdaAD(Objective):
    """Adaptive adversarial distillation; needs no labels.

        L = KL(T(x') || S(x')),  x' raising the same

    The attack follows the gradient through the teacher as well, which doubles its cost with a teacher of the student's size; in
    L the teacher is a constant. The authors' code can mix in KL(T(x) || S(x)) (its share is 0 by default), averages the KL over
    classes too on CIFAR-10, and starts the attack at x plus normal noise of 0.001, here anywhere in the ball.

    Args:
        igdm: weight of input gradient matching (`gradient_matching`).
    """

    needs_teacher = True

    def __init__(self, igdm: float = 0.0) -> None:
        super().__init__()
        not_negative(igdm=igdm)
        self.igdm = igdm

    @property
    def follows_attacked_teacher(self) -> bool:
        return True

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        need_common_classes(spaces, self.name)

    def inner(self, views: Views) -> Loss | None:
        student, teacher = views.student, views.teacher
        return lambda images: losses.kl(teacher(images).logits, student(images).logits)

    def forward(self, views: Views) -> Losses:
        kl = losses.kl(views.teacher_attacked.logits, views.student_attacked.logits).mean()
        return Losses({"kl": kl} | gradient_matching(self.igdm, views), {})
