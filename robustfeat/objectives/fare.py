"""FARE, Schlarmann et al. 2024 (Robust CLIP, arXiv 2402.12336): features under attack stay at the original clean features."""

from __future__ import annotations

import torch

from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.pair import teacher_width
from robustfeat.objectives.views import Views


@OBJECTIVES.register("fare")
class FARE(Objective):
    """Fine-tuning without labels that keeps clean features compatible, so that existing indexes of the original remain usable.

        L = |f_S(x') - f_T(x)|^2,  x' raising the same

    The teacher is the *original, non-robust* model and the student starts as its copy: give the same folder or name as
    `teacher` and as `start` of the recipe. Another width is refused, since a map between the spaces would defeat the purpose of
    the method. The head is selected when training is over.

    The squared distance is summed over features and averaged over images, as in the authors' code; it grows with the scale of
    the features, so `lr` must be small (they use AdamW, 1e-5, and PGD with 10 steps).
    """

    needs_teacher = True

    @property
    def trains_head(self) -> bool:
        return False

    @property
    def in_teachers_space(self) -> bool:
        return True

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        if (width := teacher_width(spaces, self.name)) != spaces.student_dim:
            raise ValueError(
                f"fare keeps the teacher's feature space, which has width {width}; the student has {spaces.student_dim}. "
                "Let the student start as the teacher's copy: the same model as teacher and as start"
            )

    def inner(self, views: Views) -> Loss | None:
        student, target = views.student, views.teacher_clean.features
        return lambda images: (student.features(images) - target).square().sum(dim=1)

    def forward(self, views: Views) -> Losses:
        moved = views.student_attacked.features - views.teacher_clean.features
        return Losses({"distance": moved.square().sum(dim=1).mean()}, {})
