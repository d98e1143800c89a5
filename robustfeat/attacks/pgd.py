"""Projected gradient descent, Madry et al. 2018: most robust networks are trained with it, and it is the first attack to try."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from robustfeat.attacks import ATTACKS
from robustfeat.attacks.base import Attack, Strongest, warn_if_flat
from robustfeat.attacks.climb import Climb
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball
from robustfeat.numerics.eps import Eps, check_eps
from robustfeat.numerics.types import Loss, PerExample, Points
from robustfeat.runtime.choices import check_choices


@ATTACKS.register("pgd")
@dataclass(frozen=True, repr=False)
class PGD(Attack):
    """Projected gradient descent: steps along the steepest direction, projected after each, from random points of the ball.

    Args:
        steps: gradient steps of each run.
        step_size: in pixel units of [0, 1]; None takes min(2.5 / steps, 1.25) x eps.
        restarts: number of runs, each from its own random point.
        start: "random" for a random point of the ball, "clean" for the image itself.
        climb: the loss of the goal whose gradient is followed; None leaves the choice to the goal (`Goal.climbed`).
        momentum: share of the accumulated gradient that is kept (Dong et al. 2018), in [0, 1]; 0 follows the last gradient
            alone.
        keep: "worst" returns per example the worst point seen. "last" returns the last point, for training: it needs no forward
            pass beyond those of the gradients, and the host never waits for the device, but the loss may be lower than the clean
            one.
    """

    steps: int = 20
    step_size: float | None = None
    restarts: int = 1
    start: Literal["random", "clean"] = "random"
    climb: str | None = None
    momentum: float = 0.0
    keep: Literal["worst", "last"] = "worst"

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("steps", "restarts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be in [0, 1], got {self.momentum!r}")
        if self.step_size is not None and not self.step_size > 0:
            raise ValueError(f"step_size must be greater than 0, got {self.step_size!r}")
        step = self._usual()["step_size"] if self.step_size is None else self.step_size
        check_eps(self.threat.norm, step, "step_size", most=1.25)  # what one step within eps = 1 takes
        object.__setattr__(self, "step_size", Eps(step))

    def _usual(self) -> dict[str, Any]:
        return super()._usual() | {"step_size": Eps(min(2.5 / self.steps, 1.25) * self.threat.eps)}

    def __call__(
        self,
        loss: Loss | Goal,
        images: Points,
        *,
        generator: torch.Generator | None = None,
        eps: PerExample | None = None,
        initial: Points | None = None,
    ) -> Points:
        if self.keep == "worst":
            return super().__call__(loss, images, generator=generator, eps=eps, initial=initial)
        return self._ascend(Goal.of(loss, images), self.threat.around(images, eps), None, generator).point

    def plan(self, goal: Goal) -> Attack:
        return replace(self, climb=goal.climbed(self.climb))

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        for _ in range(self.restarts):
            self._ascend(goal, ball, strongest, generator).finish()

    def _ascend(self, goal: Goal, ball: Ball, strongest: Strongest | None, generator: torch.Generator | None) -> Climb:
        """Run all steps once."""
        assert self.step_size is not None
        climb = Climb(goal, ball, strongest, self.steps, generator, random=self.start == "random")
        gathered = torch.zeros_like(climb.point)
        for step in range(self.steps):
            if len(climb.rows) == 0:
                break
            _, gradient, (gathered,) = climb.slope(self.climb, gathered)
            if step == 0 and self.start == "clean":
                warn_if_flat(gradient)
            if self.momentum:
                gradient = gathered = self.momentum * gathered + gradient / _mean_size(gradient)
            stride = self.step_size / self.threat.eps * climb.ball.eps
            climb.point = climb.ball.project(climb.point + stride * climb.ball.steepest(gradient))
        return climb


@ATTACKS.register("cw")
@dataclass(frozen=True, repr=False)
class CW(PGD):
    """PGD on the deciding loss: for classes the margin of Carlini & Wagner 2017, the best wrong logit minus the right one."""

    climb: str | None = ""


def _mean_size(gradient: Points) -> Points:
    """Return the mean absolute value per image, which is never 0."""
    return gradient.abs().flatten(1).mean(dim=1).clamp_min(1e-12).view(-1, *[1] * (gradient.ndim - 1))
