"""The interface of objectives."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from robustfeat.attacks import PGD, Threat
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import InnerAttack, Labels, Loss, Losses
from robustfeat.objectives.views import Views


@dataclass(frozen=True)
class Spaces:
    """The facts that an objective needs to build its heads and its memory.

    Args:
        student_dim: width of the student's features.
        classes: number of classes of the data.
        samples: M, the size of the training set.
        teacher_dim: width of the teacher's features; None without a teacher.
        teacher_classes: number of classes of the teacher's head; None without a teacher.
        labels: labels of the training set (M,); None if it has none.
        image_size: pixels per side of the training images, for objectives that store data per image; None if it is not needed.
    """

    student_dim: int
    classes: int
    samples: int
    teacher_dim: int | None = None
    teacher_classes: int | None = None
    labels: Labels | None = None
    image_size: int | None = None


class Objective(nn.Module, ABC):
    """One training method.

    Hyper-parameters are keyword arguments of the constructor and are stored unchanged under their names. Heads and memory are
    created in `setup` and belong to the objective: they are saved, moved and trained with it, and discarded after training.
    """

    name: ClassVar[str]
    needs_teacher: ClassVar[bool] = False
    robust: ClassVar[bool] = True
    """Whether held-out robust accuracy selects the best weights; otherwise clean accuracy does."""

    def __init__(self) -> None:
        super().__init__()

    def options(self) -> dict[str, Any]:
        """Return the hyper-parameters by name."""
        return {key: getattr(self, key) for key in inspect.signature(type(self)).parameters}

    @classmethod
    def completed(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Complete the `options` of an older version with the defaults of later hyper-parameters, which that run used."""
        return {key: option.default for key, option in inspect.signature(cls).parameters.items()} | options

    @property
    def trains_head(self) -> bool:
        """Whether the student's own classifier is trained.

        Otherwise a linear head is selected when training is over (`robustfeat.training.heads`).
        """
        return True

    @property
    def in_teachers_space(self) -> bool:
        """Whether training draws each feature of the student to the teacher's of the same index.

        Then the teacher's head fits the student without a map. The value is valid after `setup`.
        """
        return False

    @property
    def follows_attacked_teacher(self) -> bool:
        """Whether what the student is drawn to is the teacher's output on attacked images.

        A student that starts as a copy of such a teacher agrees with it already, and training ends without robustness.
        """
        return False

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        """Create heads and memory for these widths; called once, before training."""

    def attack(self, threat: Threat, steps: int, step_size: Eps | None) -> InnerAttack:
        """Return the inner attack: PGD from a random start unless the method has its own."""
        return PGD(threat, steps=steps, step_size=step_size, keep="last")

    @abstractmethod
    def inner(self, views: Views) -> Loss | None:
        """Return the loss that the inner attack raises, as a function of images; None trains on clean images.

        Called with the student in eval mode. Use `views.student(images)`, never the cached outputs of the student.
        """

    def after_step(self) -> None:
        """Update the memory; the training loop calls this after each optimiser step, in every process.

        Do not write to a memory in `forward`, whose gradient may still need the earlier content.
        """

    @abstractmethod
    def forward(self, views: Views) -> Losses:
        """Compute weighted scalar terms, whose sum training minimises, and detached notes for the log."""
