"""RSLAD, Zi et al. 2021 (ICCV, arXiv 2108.07969): the teacher's clean prediction replaces the label in all terms."""

from __future__ import annotations

import torch

from robustfeat.numerics import losses
from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.gradient_matching import GradientMatched, gradient_matching
from robustfeat.objectives.pair import need_common_classes
from robustfeat.objectives.ranges import not_negative, share
from robustfeat.objectives.views import Views


@OBJECTIVES.register("rslad")
class RSLAD(GradientMatched, Objective):
    """Robust soft-label distillation; needs no labels, and the inner attack raises KL(T(x) || S(x')).

        L = alpha KL(T(x) || S(x')) + (1 - alpha) KL(T(x) || S(x))

    The authors' code differs: its KL is a mean over classes too (multiplied by 10 for CIFAR-100, to keep the scale), and its
    attack starts at x plus normal noise of 0.001, here anywhere in the ball. They train 300 epochs with decay at 215, 260 and
    285.

    Args:
        alpha: share of the attacked term, in [0, 1].
        igdm: weight of input gradient matching (`gradient_matching`).
    """

    needs_teacher = True

    def __init__(self, alpha: float = 5 / 6, igdm: float = 0.0) -> None:
        super().__init__()
        share(alpha=alpha)
        not_negative(igdm=igdm)
        self.alpha, self.igdm = alpha, igdm

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        need_common_classes(spaces, self.name)

    def inner(self, views: Views) -> Loss | None:
        student, target = views.student, views.teacher_clean.logits
        return lambda images: losses.kl(target, student(images).logits)

    def forward(self, views: Views) -> Losses:
        target = views.teacher_clean.logits
        attacked = losses.kl(target, views.student_attacked.logits).mean()
        clean = losses.kl(target, views.student_clean.logits).mean()
        terms = {"kl": self.alpha * attacked, "clean_kl": (1 - self.alpha) * clean}
        return Losses(terms | gradient_matching(self.igdm, views), {})
