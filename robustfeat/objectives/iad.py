"""IAD, Zhu et al. 2022 (ICLR, arXiv 2106.04928): the teacher is trusted as far as it is right on the attacked image."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics import losses
from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.pair import need_common_classes, need_labels
from robustfeat.objectives.ranges import not_negative
from robustfeat.objectives.views import Views


@OBJECTIVES.register("iad")
class IAD(Objective):
    """Introspective adversarial distillation (IAD-I); the inner attack raises CE(S(x'), y).

        L = mean_i [ w_i KL(T(x_i) || S(x'_i)) + (1 - w_i) KL(S(x_i) || S(x'_i)) ],  w_i = p_T(y_i | x'_i) ^ beta

    w carries no gradient; both S(x) and S(x') do, as in the authors' code. Their script for this variant (IAD-I.py) omits w in
    the first term, whereas the paper and their other script have it. For the first `warmup_steps` w is 1: the student follows
    the teacher alone. The authors use 60 of 200 epochs, which is 23,460 steps of CIFAR-10 in batches of 128; an objective
    receives steps and not the length of a run, so the default is no warm-up. Their student is in training mode during the
    attack.

    Args:
        beta: exponent of the weight.
        warmup_steps: optimiser steps before the weight is applied.
    """

    needs_teacher = True

    steps_done: Tensor

    def __init__(self, beta: float = 0.1, warmup_steps: int = 0) -> None:
        super().__init__()
        not_negative(beta=beta, warmup_steps=warmup_steps)
        self.beta, self.warmup_steps = beta, warmup_steps

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        need_common_classes(spaces, self.name)
        need_labels(spaces, self.name)
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.long))

    def inner(self, views: Views) -> Loss | None:
        student, labels = views.student, views.labels
        return lambda images: losses.cross_entropy(student(images).logits, labels)

    def forward(self, views: Views) -> Losses:
        belief = views.teacher_attacked.logits.detach().softmax(dim=1).gather(1, views.labels[:, None]).squeeze(1)
        weight = torch.where(self.steps_done < self.warmup_steps, 1.0, belief**self.beta)
        attacked = views.student_attacked.logits
        teacher = (weight * losses.kl(views.teacher_clean.logits, attacked)).mean()
        itself = ((1 - weight) * losses.kl(views.student_clean.logits, attacked)).mean()
        return Losses({"kl": teacher, "self_kl": itself}, {"weight": weight})

    def after_step(self) -> None:
        self.steps_done += 1
