"""How right a teacher is on each image: the weights of GACD."""

from __future__ import annotations

import logging
from typing import Literal

import torch

from robustfeat.objectives.views import Views
from robustfeat.types import PerExample

log = logging.getLogger(__name__)

Kind = Literal["teacher_probability", "teacher_correct", "none"]


class Rightness:
    """w(x, y), in [0, 1]: p_T(y | x)^beta, or whether the teacher's best class is y (0 or 1), or 1.

    Without labels p_T of the best class takes the place of p_T(y | x).
    on: the image on which the teacher is judged.
    """

    def __init__(self, kind: Kind, beta: float, on: Literal["clean", "attacked"]) -> None:
        self.kind, self.beta, self.on = kind, beta, on
        self.looked = False

    def __call__(self, views: Views) -> PerExample:
        """(n,), without gradient."""
        if self.kind == "none":
            return torch.ones(len(views.clean), device=views.clean.device)
        teacher = views.teacher_clean if self.on == "clean" else views.teacher_attacked
        if self.kind == "teacher_correct":
            weights = (teacher.logits.argmax(dim=1) == views.labels).float()
        else:
            probability = teacher.logits.softmax(dim=1)
            labels = probability.argmax(dim=1) if views.batch.labels is None else views.labels
            weights = probability.gather(1, labels[:, None]).squeeze(1) ** self.beta
        self._remark(weights)
        return weights

    def _remark(self, weights: PerExample) -> None:
        """Say where the weights of the first batch are all 1: then there is nothing to reweight. Later ones are in the log."""
        if self.looked:
            return
        self.looked = True
        if (mean := float(weights.mean())) > 0.99:
            log.warning(
                "the teacher is right on this data with mean weight %.3f: the reweighting is a no-op here", mean
            )
