"""Student and teacher on one batch, clean and attacked: each output is computed when it is first used, and kept."""

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
    """What an objective sees of one step.

    student, teacher: the networks, for the losses that an attack raises (call them on the attacked images).
    clean, labels, rows: of the batch.  attacked: the adversarial images; the clean ones where there is no inner attack.
    attack: what made them, None where there was no inner attack.
    *_clean, *_attacked, *_mirrored (of the opposite perturbation): outputs, cached. The teacher's carry no gradient.
    generator: for the random numbers of this step.
    known: what the teacher says about the clean images, where that is known already.
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
        if self._teacher is None:
            raise ValueError("this objective distils from a teacher; give one with teacher=...")
        return self._teacher

    @property
    def labels(self) -> Labels:
        if self.batch.labels is None:
            raise ValueError("this objective needs labels and the data set has none")
        return self.batch.labels

    @property
    def labels_or_best(self) -> Labels:
        """The labels; where the data has none, the teacher's best class of the clean image."""
        return self.teacher_clean.logits.argmax(dim=1) if self.batch.labels is None else self.batch.labels

    @contextmanager
    def attacking(self) -> Iterator[None]:
        """While the inner attack runs, cached student outputs are out of reach.

        What is cached then would be computed in eval mode and belong to the attack: the training term would later find
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
        return self._run_student(self.clean)

    @cached_property
    def student_attacked(self) -> Output:
        return self.student_clean if self.attacked is self.clean else self._run_student(self.attacked)

    @cached_property
    def mirrored(self) -> Images:
        """The clean images with the opposite of the attack's perturbation, kept in [0, 1]."""
        return self.clean if self.attacked is self.clean else (2 * self.clean - self.attacked).clamp(0, 1)

    @cached_property
    def student_mirrored(self) -> Output:
        return self.student_clean if self.mirrored is self.clean else self._run_student(self.mirrored)

    @cached_property
    def student_start(self) -> Output:
        """Where a single step began; of the clean images without one."""
        return self._run_student(self.attack.start) if isinstance(self.attack, SignStep) else self.student_clean

    @cached_property
    def teacher_clean(self) -> Output:
        return self._run_teacher(self.clean) if self._known is None else self._known

    @cached_property
    def teacher_attacked(self) -> Output:
        return self.teacher_clean if self.attacked is self.clean else self._run_teacher(self.attacked)

    @cached_property
    def teacher_mirrored(self) -> Output:
        return self.teacher_clean if self.mirrored is self.clean else self._run_teacher(self.mirrored)

    def _run_teacher(self, images: Tensor) -> Output:
        with torch.no_grad():
            return self.teacher(images)
