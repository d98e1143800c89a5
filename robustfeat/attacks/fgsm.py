"""Fast gradient sign method, Goodfellow et al. 2015."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from robustfeat.attacks import ATTACKS
from robustfeat.attacks.base import Attack, Strongest, warn_if_flat
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball


@ATTACKS.register("fgsm")
@dataclass(frozen=True, repr=False)
class FGSM(Attack):
    """Takes one step of length eps along the steepest direction (under linf the sign of the gradient), from the clean image.

    Args:
        climb: the loss of the goal whose gradient is followed; None leaves the choice to the goal (`Goal.climbed`).
    """

    climb: str | None = None

    def plan(self, goal: Goal) -> Attack:
        return replace(self, climb=goal.climbed(self.climb))

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        rows = goal.open(strongest.values)
        if len(rows) == 0:
            return
        part, around = goal.take(rows), ball.take(rows)
        score, gradient = part.slope(around.origin, self.climb)
        part.effort.took_step(0, gradient, torch.ones_like(score.decides, dtype=torch.bool))
        warn_if_flat(gradient)
        stepped = around.project(around.origin + around.eps * around.steepest(gradient))
        strongest.offer(rows, stepped, part.judge(stepped))
