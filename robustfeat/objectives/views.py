"""The outputs of student and teacher on one batch, clean and attacked, each computed on first use and cached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import torch
from torch import Tensor

from robustfeat.backbones.network import Network
from robustfeat.numerics.types import Batch, Images, InnerAttack, Labels, Output
from robustfeat.objectives.sign_step import SignStep


class Views:
    """The networks, images and outputs of one training step, as an objective uses them.

    Args:
        student: the student, for the loss that an attack raises (call it on the attacked images).
        teacher: the teacher, for the same purpose; None for objectives without one.
        batch: the clean images, their labels and their rows.
        generator: the source of the random numbers of this step.
        known: the teacher's output on the clean images, if it is cached; None computes it on first use.

    Attributes:
        clean: the clean images.
        rows: the rows of the images in the data set.
        attacked: the adversarial images; the clean ones without an inner attack.
        attack: the inner attack that made them; None without one.
    """

    def __init__(
        self,
        student: Network,
        teacher: Network | None,
        batch: Batch,
        generator: torch.Generator,
        known: Output | None = None,
    ) -> None:
        self.student = student
        self.batch = batch
        self.clean: Images = batch.images
        self.rows = batch.rows
        self.attacked: Images = batch.images
        self.attack: InnerAttack | None = None
        self.generator = generator
        self._teacher = teacher
        self._known = known
        self._during_attack = False

    @property
    def teacher(self) -> Network:
        """The teacher. Raises ValueError if there is none."""
        if self._teacher is None:
            raise ValueError("this objective distils from a teacher; give one with teacher=...")
        return self._teacher

    @property
    def labels(self) -> Labels:
        """The labels. Raises ValueError if there are none."""
        if self.batch.labels is None:
            raise ValueError("this objective needs labels and the data set has none")
        return self.batch.labels

    @property
    def labels_or_best(self) -> Labels:
        """The labels; if the data has none, the teacher's best class of the clean image."""
        return self.teacher_clean.logits.argmax(dim=1) if self.batch.labels is None else self.batch.labels

    @contextmanager
    def attacking(self) -> Iterator[None]:
        """Forbid the use of cached student outputs while the inner attack runs.

        An output that is cached then would be computed in eval mode and belong to the attack: the training term would later use
        an output without a usable gradient, and silently train nothing.
        """
        self._during_attack = True
        try:
            yield
        finally:
            self._during_attack = False

    def _run_student(self, images: Images) -> Output:
        if self._during_attack:
            raise RuntimeError(
                "the loss of an inner attack must call views.student(images) on the images it is given, "
                "not use the cached outputs of the training step"
            )
        return self.student(images)

    @cached_property
    def student_clean(self) -> Output:
        """The student's output on the clean images."""
        return self._run_student(self.clean)

    @cached_property
    def student_attacked(self) -> Output:
        """The student's output on the attacked images."""
        return self.student_clean if self.attacked is self.clean else self._run_student(self.attacked)

    @cached_property
    def mirrored(self) -> Images:
        """The clean images with the opposite of the attack's perturbation, kept in [0, 1]."""
        return self.clean if self.attacked is self.clean else (2 * self.clean - self.attacked).clamp(0, 1)

    @cached_property
    def student_mirrored(self) -> Output:
        """The student's output on the mirrored images."""
        return self.student_clean if self.mirrored is self.clean else self._run_student(self.mirrored)

    @cached_property
    def student_start(self) -> Output:
        """The student's output at the start of a single step; without one, on the clean images."""
        return self._run_student(self.attack.start) if isinstance(self.attack, SignStep) else self.student_clean

    @cached_property
    def teacher_clean(self) -> Output:
        """The teacher's output on the clean images, without gradient."""
        return self._run_teacher(self.clean) if self._known is None else self._known

    @cached_property
    def teacher_attacked(self) -> Output:
        """The teacher's output on the attacked images, without gradient."""
        return self.teacher_clean if self.attacked is self.clean else self._run_teacher(self.attacked)

    @cached_property
    def teacher_mirrored(self) -> Output:
        """The teacher's output on the mirrored images, without gradient."""
        return self.teacher_clean if self.mirrored is self.clean else self._run_teacher(self.mirrored)

    def _run_teacher(self, images: Tensor) -> Output:
        with torch.no_grad():
            return self.teacher(images)
