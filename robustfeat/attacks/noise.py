"""Random perturbations: the baseline that every other attack must beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustfeat.attacks import ATTACKS
from robustfeat.attacks.base import Attack, Strongest
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball


@ATTACKS.register("noise")
@dataclass(frozen=True, repr=False)
class Noise(Attack):
    """The worst of several uniform random points of the ball; needs no gradient.

    Args:
        samples: number of random points per image.
    """

    samples: int = 20

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples!r}")

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        for _ in range(self.samples):
            rows = goal.open(strongest.values)
            if len(rows) == 0:
                return
            point = ball.take(rows).sample(generator)
            strongest.offer(rows, point, goal.take(rows).judge(point))
