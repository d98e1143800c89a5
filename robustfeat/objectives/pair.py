"""Requirements of a method on student and teacher, checked before training, and the linear map between their features."""

from __future__ import annotations

import torch
from torch import nn

from robustfeat.numerics.types import Labels
from robustfeat.objectives.base import Spaces


def teacher_width(spaces: Spaces, name: str) -> int:
    """Return the width of the teacher's features.

    Args:
        spaces: the facts about student, teacher and data.
        name: the name of the objective, for error messages.

    Raises:
        ValueError: if there is no teacher.
    """
    if spaces.teacher_dim is None:
        raise ValueError(f"{name} distils from a teacher; give one with teacher=...")
    return spaces.teacher_dim


def need_common_classes(spaces: Spaces, name: str) -> None:
    """Check that the teacher has as many classes as the student. Raises ValueError if it does not."""
    teacher_width(spaces, name)
    if spaces.teacher_classes != spaces.classes:
        raise ValueError(
            f"{name} compares logits; the teacher knows {spaces.teacher_classes} classes and the data has {spaces.classes}: "
            "choose another teacher, or a method on features such as gacd or rrm"
        )


def need_labels(spaces: Spaces, name: str) -> Labels:
    """Return the labels of the training set (M,). Raises ValueError if it has none."""
    if spaces.labels is None:
        raise ValueError(f"{name} needs labels and the data set has none; fare, fitnet, rslad and adaad need none")
    return spaces.labels


def to_teacher(spaces: Spaces, name: str, generator: torch.Generator) -> nn.Module:
    """Return the map from student features (n, student_dim) to (n, teacher_dim).

    It is the identity if the widths agree, otherwise one trained layer.
    """
    width = teacher_width(spaces, name)
    return nn.Identity() if spaces.student_dim == width else affine(spaces.student_dim, width, generator)


def affine(before: int, after: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """Return a linear layer with a bias of 0 (or none), initialised from the generator.

    The initial weights preserve the mean square of the input.
    """
    layer = nn.utils.skip_init(nn.Linear, before, after, bias=bias)  # the global generator is not ours to draw from
    nn.init.normal_(layer.weight, std=before**-0.5, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
