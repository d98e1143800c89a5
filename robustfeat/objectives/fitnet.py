"""FitNets, Romero et al. 2015 (arXiv 1412.6550): each feature of the student is trained to equal the teacher's."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.pair import to_teacher
from robustfeat.objectives.views import Views


@OBJECTIVES.register("fitnet")
class FitNet(Objective):
    """Mean squared distance of features on clean images; needs no labels, and the head is selected when training is over.

        L = mean over images and features of (g(f_S(x)) - f_T(x))^2

    g is the identity if the widths agree, otherwise one trained linear layer. The paper guides a hidden layer through a
    convolution, with half the *sum* over its maps, and trains the whole network by kd afterwards; here the hint is the pooled
    penultimate feature, which is the one that extractors return, and there is no second stage.
    """

    needs_teacher = True
    robust = False

    @property
    def trains_head(self) -> bool:
        return False

    @property
    def in_teachers_space(self) -> bool:
        return isinstance(self.student_side, nn.Identity)

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        self.student_side = to_teacher(spaces, self.name, generator)

    def inner(self, views: Views) -> Loss | None:
        return None

    def forward(self, views: Views) -> Losses:
        target = views.teacher_clean.features
        mapped = self.student_side(views.student_clean.features).to(target.dtype)
        return Losses({"hint": F.mse_loss(mapped, target)}, {})
