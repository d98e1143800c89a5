"""One training step as one forward pass, so that DistributedDataParallel synchronises once, whatever the attack computes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import nn

from robustfeat.attacks import Threat
from robustfeat.backbones.modes import evaluating, frozen
from robustfeat.backbones.network import Network
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Batch, Images, InnerAttack, Losses
from robustfeat.objectives import Objective, Views
from robustfeat.training.teacher_cache import TeacherCache


class Made(NamedTuple):
    """The images of a training step and the inner attack that made them; without an attack, the clean images and None."""

    images: Images
    attack: InnerAttack | None


class Distiller(nn.Module):
    """Combines student, teacher and objective; `forward` attacks the student and returns the loss terms to minimise.

    The teacher is frozen and stays in eval mode, whatever mode the distiller is in. The inner attack runs with the student in
    eval mode; the mode of every module is restored afterwards. Gradients of the attack are computed for the images only, never
    for weights.

    Args:
        student: the network to train.
        teacher: the network to distil from; None for objectives without one.
        objective: the training method.
        threat: the threat model of the inner attack.
        steps: gradient steps of the inner attack.
        step_size: size of one step in pixel units; None selects the default of the attack.

    Attributes:
        teacher_cache: the teacher cache; set it if the training images are the same in every epoch.
        made: the images and the attack of the last forward pass.
    """

    def __init__(
        self,
        student: Network,
        teacher: Network | None,
        objective: Objective,
        threat: Threat,
        steps: int = 10,
        step_size: Eps | None = None,
    ) -> None:
        super().__init__()
        self.student, self.teacher, self.objective = student, teacher, objective
        self.threat, self.steps, self.step_size = threat, steps, step_size
        self.teacher_cache: TeacherCache | None = None
        self.made: Made | None = None
        if teacher is not None:
            teacher.requires_grad_(False)

    def train(self, mode: bool = True) -> Distiller:
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(self, batch: Batch, key: tuple[int, ...], strength: float = 1.0, made: Made | None = None) -> Losses:
        """Compute the losses of one step on a batch.

        Args:
            batch: the clean images, labels and rows.
            key: identifies the random numbers of this step, for example (seed, step, rank).
            strength: factor on eps (warm-up), in [0, 1].
            made: the images and the attack of an earlier pass over this batch, which replace a new inner attack.
        """
        random = generator(*key[:1], Stream.ATTACK, *key[1:], device=batch.images.device)
        known = None if self.teacher_cache is None else self.teacher_cache[batch.rows]
        views = Views(self.student, self.teacher, batch, random, known)
        self.made = made or self._attack(views, strength)
        views.attacked, views.attack = self.made
        return self.objective(views)

    def _attack(self, views: Views, strength: float) -> Made:
        made = Made(views.clean, None)
        # A compiled pass computes the gradients of all that ask for one. Else nobody computes those of the weights, and under
        # autocast their casts are kept from one step of the attack to the next only while they ask.
        still = frozen(self.student) if self.student.compiled else nullcontext()
        with evaluating(self.student), still, views.attacking():
            loss = self.objective.inner(views)
            if loss is not None and strength > 0:
                threat = self.threat if strength == 1 else Threat(self.threat.norm, Eps(self.threat.eps * strength))
                step_size = (
                    self.step_size if strength == 1 or self.step_size is None else Eps(self.step_size * strength)
                )
                attack = self.objective.attack(threat, self.steps, step_size)
                made = Made(attack(loss, views.clean, generator=views.generator), attack)
        # Casts of the weights that were made without gradient must not be used for the training terms.
        torch.clear_autocast_cache()
        return made
