"""IGDM, Lee, Cho & Kim 2023 (arXiv 2312.03286): a term that matches the student's input gradient to the teacher's."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from robustfeat.numerics import losses
from robustfeat.numerics.types import Logits, Output
from robustfeat.objectives.views import Views


class GradientMatched:
    """An objective with the option `igdm`, whose term draws the student to the teacher's outputs around the image."""

    igdm: float

    @property
    def follows_attacked_teacher(self) -> bool:
        return self.igdm > 0


def own_logits(output: Output) -> Logits:
    """Return the logits of the network's own head."""
    return output.logits


def gradient_matching(
    weight: float, views: Views, student: Callable[[Output], Logits] = own_logits
) -> dict[str, Tensor]:
    """Compute the term by its name; with weight 0 the result is empty and no network is evaluated.

        weight mean_i KL(T(x') - T(x-) || S(x') - S(x-)),  x- = x - (x' - x), kept in [0, 1];  both differences as logits

    To first order S(x') - S(x-) is twice the product of the input gradient of S with the perturbation, so that no second-order
    gradient is needed. Gradients flow through both outputs of the student. In the authors' later code the weight grows with the
    epoch up to 1 on CIFAR-10 and 10 on CIFAR-100, here it is constant; they do not keep x- in [0, 1].

    Args:
        weight: weight of the term.
        views: the views of the step.
        student: function from the student's output to the logits that are matched.
    """
    if not weight:
        return {}
    taught = views.teacher_attacked.logits - views.teacher_mirrored.logits
    found = student(views.student_attacked) - student(views.student_mirrored)
    return {"igdm": weight * losses.kl(taught, found).mean()}
