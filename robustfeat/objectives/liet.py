"""LIET, Pan et al. 2025 (ICCV): single steps from a start that contains label information, which training eliminates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from robustfeat.attacks import Goal, Threat
from robustfeat.numerics import losses
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import Images, InnerAttack, Labels, Logits, Loss, Losses, PerExample
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.pair import need_labels
from robustfeat.objectives.ranges import below_one, not_negative, positive, share
from robustfeat.objectives.sign_step import SignStep, uniform
from robustfeat.objectives.views import Views
from robustfeat.runtime.parallel import follow_first


class EliminatingStep(SignStep):
    """One step of eps from x + eps v or x - eps v, projected onto the ball.

    v is the pattern of the image's label, with a share of its numbers, between `least` and `most`, replaced by uniform noise.
    The share and the sign are drawn once for the batch.

    Args:
        threat: the threat model, with norm linf.
        name: the name of the objective, for error messages.
        patterns: (n, 3, h, w), with values -1, 0 or 1.
        least: the smallest share that is replaced.
        most: the largest share that is replaced.
    """

    def __init__(self, threat: Threat, name: str, patterns: Tensor, least: float, most: float) -> None:
        super().__init__(threat, name)
        self.patterns, self.least, self.most = patterns, least, most

    def begin(self, images: Images, generator: torch.Generator | None) -> Images:
        level, sign = uniform((2,), images, generator)
        noise, where = (uniform(images.shape, images, generator) for _ in range(2))
        replaced = (where + 1) / 2 < self.least + (self.most - self.least) * (level + 1) / 2
        pattern = torch.where(replaced, noise, self.patterns.to(images))
        return (images + self.threat.eps * torch.where(sign < 0, -pattern, pattern)).clamp(0, 1)


@OBJECTIVES.register("liet")
class LIET(Objective):
    """Label information elimination against catastrophic overfitting; `steps` and `step_size` of the recipe are not used.

        L = CE(S(x'), q) + consistency min(1, step / warmup_steps) JS(S(x0), S(x'))
        x' = x0 + eps sign(gradient of CE at x0), in the ball
        x0 = x +- eps v,  v = V_y with a share of its numbers replaced by noise
        V_k = sign(gradient of CE(S(grey), k) at a grey image)

    q has 1 - smoothing on y and the rest on the other classes in proportions that are drawn for every image and use; the step
    and V raise the CE with such a q. JS is the Jensen-Shannon divergence in nats. V is computed again every `refresh` steps, in
    eval mode.

    The formula is that of the authors' public code for eps up to 8/255; its benefit has not been measured with this library.
    Their weight grows until the end of the run; an objective receives steps and not their total, so set warmup_steps to the
    steps of the run. Their student is in training mode during the step; here it is in eval mode, which costs another pass for
    x0. They also average weights with decay 0.9995 (`ema` of the recipe).

    Args:
        label_smoothing: share of each label that is moved to the wrong classes; the authors use 0.6 on CIFAR-10, 0.8 on
            CIFAR-100.
        consistency: weight of the divergence between start and end; the authors use 100 and 200.
        warmup_steps: optimiser steps over which that weight grows; 38,300 are the authors' 100 epochs of CIFAR-10.
        least: the smallest share of a pattern that is replaced by noise.
        most: the largest share of a pattern that is replaced by noise.
        refresh: optimiser steps between two computations of the patterns; the authors use 10 and 20.
    """

    patterns: Tensor
    steps_done: Tensor

    def __init__(
        self,
        label_smoothing: float = 0.6,
        consistency: float = 100.0,
        warmup_steps: int = 38_300,
        least: float = 0.1,
        most: float = 0.5,
        refresh: int = 10,
    ) -> None:
        super().__init__()
        below_one(label_smoothing=label_smoothing)
        not_negative(consistency=consistency, warmup_steps=warmup_steps)
        share(least=least, most=most)
        if least > most:
            raise ValueError(f"least {least!r} must not be greater than most {most!r}")
        positive(refresh=refresh)
        self.label_smoothing, self.consistency, self.warmup_steps = label_smoothing, consistency, warmup_steps
        self.least, self.most, self.refresh = least, most, refresh
        self._begin(0)
        self._labels = torch.empty(0, dtype=torch.long)

    def _begin(self, steps: int) -> None:
        """Continue counting from this number of steps, without waiting for the device."""
        self._steps, self._stale = steps, steps % self.refresh == 0

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        need_labels(spaces, self.name)
        if spaces.image_size is None:
            raise ValueError(
                f"{self.name} makes patterns of the size of the images; Spaces has to say their image_size"
            )
        shape = (spaces.classes, 3, spaces.image_size, spaces.image_size)
        self.register_buffer("patterns", torch.zeros(shape, dtype=torch.int8))
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.long))
        self._begin(0)

    def load_state_dict(self, state_dict: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        found = super().load_state_dict(state_dict, *arguments, **options)
        self._begin(int(self.steps_done))
        return found

    def targets(self, labels: Labels, generator: torch.Generator) -> Tensor:
        """Draw q, (n, k)."""
        right = (labels[:, None] == torch.arange(len(self.patterns), device=labels.device)).float()
        wrong = (uniform(right.shape, right, generator) + 1) * (1 - right)
        spread = wrong / wrong.sum(dim=1, keepdim=True).clamp_min(1e-12)
        return (1 - self.label_smoothing) * right + self.label_smoothing * spread

    def inner(self, views: Views) -> Loss | None:
        student, targets = views.student, self.targets(views.labels, views.generator)
        self._labels = views.labels
        if self._stale:
            self._stale = False
            self._make_patterns(views)
        return lambda images: soft_cross_entropy(student(images).logits, targets)

    def _make_patterns(self, views: Views) -> None:
        """Compute the signs that raise the loss of each class on an image without information."""
        student, grey = views.student, torch.full_like(self.patterns, 0.5, dtype=views.clean.dtype)
        targets = self.targets(torch.arange(len(grey), device=grey.device), views.generator)
        goal = Goal.of(lambda images: soft_cross_entropy(student(images).logits, targets), grey)
        self.patterns.copy_(goal.slope(grey)[1].sign())
        follow_first([self.patterns])

    def attack(self, threat: Threat, steps: int, step_size: Eps | None) -> InnerAttack:
        """Return the step for the labels of the views in the last call of `inner`."""
        return EliminatingStep(threat, self.name, self.patterns[self._labels], self.least, self.most)

    def forward(self, views: Views) -> Losses:
        start, end = views.student_start.logits, views.student_attacked.logits
        ce = soft_cross_entropy(end, self.targets(views.labels, views.generator)).mean()
        grown = min(1.0, (self._steps + 1) / max(1, self.warmup_steps))
        return Losses({"ce": ce, "js": self.consistency * grown * jensen_shannon(start, end).mean()}, {})

    def after_step(self) -> None:
        self.steps_done += 1
        self._begin(self._steps + 1)


def soft_cross_entropy(logits: Logits, targets: Tensor) -> PerExample:
    """Compute -sum_k q_k log softmax(logits)_k, (n,)."""
    return -(targets * losses.wide(logits).log_softmax(dim=1)).sum(dim=1)


def jensen_shannon(one: Logits, two: Logits) -> PerExample:
    """Compute the mean of KL(p || m) and KL(q || m), m = (p + q) / 2, of the predictions p and q; in [0, log 2], (n,)."""
    log_p, log_q = (losses.wide(logits).log_softmax(dim=1) for logits in (one, two))
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return ((log_p.exp() * (log_p - log_m)).sum(dim=1) + (log_q.exp() * (log_q - log_m)).sum(dim=1)) / 2
