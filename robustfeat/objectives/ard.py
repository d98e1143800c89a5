"""ARD, Goldblum et al. 2020 (AAAI, arXiv 1905.09747): the student under attack follows the teacher on the clean image."""

from __future__ import annotations

import torch

from robustfeat.numerics import losses
from robustfeat.numerics.types import Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.pair import need_common_classes, need_labels
from robustfeat.objectives.ranges import positive, share
from robustfeat.objectives.views import Views


@OBJECTIVES.register("ard")
class ARD(Objective):
    """Adversarially robust distillation; the inner attack raises CE(S(x'), y).

        L = alpha T^2 KL(T(x) || S(x')) + (1 - alpha) CE(S(x), y),  both softmax at temperature T in the KL

    The authors' code differs: its KL is a mean over classes too, so that its first term is smaller by the number of classes;
    its student is in training mode during the attack; it runs the student on clean images (in effect for the statistics of
    batch norm) if alpha is 1 and they are not in the loss; its second learning-rate decay repeats the first.

    Args:
        alpha: share of the distillation term, in [0, 1]; the authors use 1 on CIFAR-10.
        temperature: T; the authors use 30.
    """

    needs_teacher = True

    def __init__(self, alpha: float = 1.0, temperature: float = 30.0) -> None:
        super().__init__()
        share(alpha=alpha)
        positive(temperature=temperature)
        self.alpha, self.temperature = alpha, temperature

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        need_common_classes(spaces, self.name)
        need_labels(spaces, self.name)

    def inner(self, views: Views) -> Loss | None:
        student, labels = views.student, views.labels
        return lambda images: losses.cross_entropy(student(images).logits, labels)

    def forward(self, views: Views) -> Losses:
        kl = losses.kl(views.teacher_clean.logits, views.student_attacked.logits, self.temperature).mean()
        terms = {"kl": self.alpha * self.temperature**2 * kl}
        if self.alpha < 1:
            terms["ce"] = (1 - self.alpha) * losses.cross_entropy(views.student_clean.logits, views.labels).mean()
        return Losses(terms, {})
