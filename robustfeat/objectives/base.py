"""What an objective is."""

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
    """What an objective has to know to build its heads and its memory.

    student_dim, teacher_dim: widths of the features (teacher_dim is None without a teacher).
    classes, teacher_classes: of the data and of the teacher's head.
    samples, labels: M, the size of the training set, and its labels (M,) or None.
    image_size: pixels per side of the training images, for objectives that keep something of each; None if nobody needs it.
    """

    student_dim: int
    classes: int
    samples: int
    teacher_dim: int | None = None
    teacher_classes: int | None = None
    labels: Labels | None = None
    image_size: int | None = None


class Objective(nn.Module, ABC):
    """One training method. Hyper-parameters are keyword arguments of the constructor, stored untouched under their names;
    heads and memory are made in `setup` and belong to the objective: saved, moved and trained with it, thrown away for use.
    """

    name: ClassVar[str]
    needs_teacher: ClassVar[bool] = False
    robust: ClassVar[bool] = True
    """Whether held-out robust accuracy chooses the best weights; otherwise clean accuracy does."""

    def __init__(self) -> None:
        super().__init__()

    def options(self) -> dict[str, Any]:
        """The hyper-parameters by name."""
        return {key: getattr(self, key) for key in inspect.signature(type(self)).parameters}

    @classmethod
    def completed(cls, options: dict[str, Any]) -> dict[str, Any]:
        """What `options` gave in an older version, with those that came later at their defaults: so the run was made."""
        return {key: option.default for key, option in inspect.signature(cls).parameters.items()} | options

    @property
    def trains_head(self) -> bool:
        """Whether the student's own classifier is trained; otherwise a linear head is chosen when training is over
        (`robustfeat.training.heads`)."""
        return True

    @property
    def in_teachers_space(self) -> bool:
        """Whether training draws each feature of the student to the teacher's of the same number, so that the teacher's head
        fits the student as it is. Known after `setup`."""
        return False

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        """Make heads and memory for these widths; called once, before training."""

    def attack(self, threat: Threat, steps: int, step_size: Eps | None) -> InnerAttack:
        """The inner attack; PGD from a random start unless the method has its own."""
        return PGD(threat, steps=steps, step_size=step_size, keep="last")

    @abstractmethod
    def inner(self, views: Views) -> Loss | None:
        """What the inner attack raises, as a function of images; None trains on clean images.

        Called with the student in eval mode. Use `views.student(images)`, never the cached outputs of the student.
        """

    def after_step(self) -> None:
        """Called by the training loop after each optimiser step, in every process: write to a memory here and not in
        `forward`, whose gradient may still need what was there before."""

    @abstractmethod
    def forward(self, views: Views) -> Losses:
        """Weighted scalar terms, whose sum training lowers, and detached notes for the log."""
