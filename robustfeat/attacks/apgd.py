"""Auto-PGD (Croce & Hein 2020, arXiv 2003.01690, algorithm 1): PGD whose step size follows its own progress."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from robustfeat.attacks import ATTACKS
from robustfeat.attacks.base import Attack, Strongest
from robustfeat.attacks.climb import Climb
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball
from robustfeat.numerics.types import PerExample, Points

PULL = 0.75  # alpha of the paper: weight of the new step against the previous direction
PROGRESS = 0.75  # rho of the paper: share of steps between two checkpoints that must raise the loss


@ATTACKS.register("apgd")
@dataclass(frozen=True, repr=False)
class APGD(Attack):
    """Auto-PGD: gradient steps with momentum, whose size adapts to the progress of each image.

    The first step size is 2 eps. At checkpoints the step size is halved, and the ascent continues from the best point so far,
    for images whose loss did not rise often enough, or whose step size and best loss did not change since the last checkpoint.

    Args:
        steps: gradient steps of each run.
        restarts: runs from random points of the ball, for each loss that is climbed.
        climb: the loss of the goal whose gradient is followed; None leaves the choice to the goal (`Goal.climbed`). A name that
            ends in "*" runs once for each loss whose name begins with what precedes the "*" ("margin-*": one run per wrong
            class).
        targets: largest number of losses that a "*" stands for.
    """

    steps: int = 100
    restarts: int = 1
    climb: str | None = None
    targets: int = 9

    def __post_init__(self) -> None:
        for name in ("steps", "restarts", "targets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")

    def plan(self, goal: Goal) -> Attack:
        names = self._names(goal)
        return self if self.climb else replace(self, climb=names[0])

    def _names(self, goal: Goal) -> list[str]:
        """Return the names of the losses that are climbed one after the other."""
        if self.climb is None or not self.climb.endswith("*"):
            return [goal.climbed(self.climb)]
        names = [name for name in goal.losses if name.startswith(self.climb[:-1])]
        if not names:
            raise goal.without(self.climb)
        return names[: self.targets]

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        for name in self._names(goal):
            for _ in range(self.restarts):
                self._ascend(Climb(goal, ball, strongest, self.steps, generator), name)

    def _ascend(self, climb: Climb, name: str) -> None:
        checks, last_check = checkpoints(self.steps), 0
        state = _State.begin(climb)
        for step in range(self.steps):
            if len(climb.rows) == 0:
                return
            score, gradient, carried = climb.slope(name, *state)
            state = _State(*carried).note(climb.point, score.climb, gradient)
            if step in checks:
                state, again = state.check(step - last_check)
                last_check = step
                climb.point = torch.where(again, state.best, climb.point)
                gradient = torch.where(again, state.best_gradient, gradient)
            # Two projections, as in the paper: of the plain step, then of the mixture with the last direction.
            here, ball = climb.point, climb.ball
            plain = ball.project(here + state.stride * ball.steepest(gradient)) - here
            pull = PULL if step else 1.0
            climb.point = ball.project(here + pull * plain + (1 - pull) * (here - state.previous))
            state = state._replace(previous=here)
        climb.finish()


class _State(NamedTuple):
    """The state of an ascent, per image: (n,) or as the images. best_* belong to the largest climbed loss."""

    previous: Points
    best: Points
    best_gradient: Points
    best_loss: PerExample
    loss: PerExample
    rises: PerExample
    stride: Points
    best_at_check: PerExample
    halved: Tensor

    @classmethod
    def begin(cls, climb: Climb) -> _State:
        point, low = climb.point, climb.point.new_full((len(climb.point),), -torch.inf)
        ones = torch.ones_like(low)
        zeros = torch.zeros_like(point)
        return cls(point, point, zeros, low, -low, 0 * ones, 2 * climb.ball.eps, low, ones.bool())

    def note(self, point: Points, loss: PerExample, gradient: Points) -> _State:
        """Update the state after a gradient."""
        better = loss > self.best_loss
        wide = better.view(self.stride.shape)
        return self._replace(
            best=torch.where(wide, point, self.best),
            best_gradient=torch.where(wide, gradient, self.best_gradient),
            best_loss=torch.where(better, loss, self.best_loss),
            rises=self.rises + (loss > self.loss),
            loss=loss,
        )

    def check(self, steps: int) -> tuple[_State, Tensor]:
        """Update the state at a checkpoint, `steps` after the last; also return which images go back to their best point."""
        again = (self.rises < PROGRESS * steps) | (~self.halved & (self.best_at_check >= self.best_loss))
        wide = again.view(self.stride.shape)
        stride = torch.where(wide, self.stride / 2, self.stride)
        fresh = torch.zeros_like(self.rises)
        return self._replace(stride=stride, rises=fresh, best_at_check=self.best_loss, halved=again), wide


def checkpoints(steps: int) -> list[int]:
    """Return w_j = p_j steps with p_1 = 0.22 and p_(j+1) = p_j + max(p_j - p_(j-1) - 0.03, 0.06), in whole steps.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    found, at, gap = [], 0, max(1, int(0.22 * steps))
    while at + gap < steps:
        at += gap
        found.append(at)
        gap = max(gap - max(1, int(0.03 * steps)), 1, int(0.06 * steps))
    return found
