"""IGDM, Lee, Cho & Kim 2023 (arXiv 2312.03286): a term that draws the student's input gradient to the teacher's."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from robustfeat.numerics import losses
from robustfeat.numerics.types import Logits, Output
from robustfeat.objectives.views import Views


def own_logits(output: Output) -> Logits:
    """Those of the network's own head."""
    return output.logits


def gradient_matching(
    weight: float, views: Views, student: Callable[[Output], Logits] = own_logits
) -> dict[str, Tensor]:
    """The term by its name, and nothing, not even a pass through a network, where the weight is 0.

        weight mean_i KL(T(x') - T(x-) || S(x') - S(x-)),  x- = x - (x' - x), kept in [0, 1];  both differences as logits

    To first order S(x') - S(x-) is twice the product of the input gradient of S with the perturbation, so that no gradient is
    taken of a gradient. Gradients go through both outputs of the student. The authors' weight grows with the epoch up to 1 on
    CIFAR-10 and 10 on CIFAR-100 in their later code, ours stays; they do not keep x- in [0, 1].

    student: what stands for the student's logits, from its output.
    """
    if not weight:
        return {}
    taught = views.teacher_attacked.logits - views.teacher_mirrored.logits
    found = student(views.student_attacked) - student(views.student_mirrored)
    return {"igdm": weight * losses.kl(taught, found).mean()}
