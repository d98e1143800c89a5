"""What an attack is: the threat it stays within, the loss it raises, and the promise about what it returns."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from robustfeat.attacks.described import Described
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball, Threat
from robustfeat.numerics.checks import refuse, together
from robustfeat.numerics.types import Loss, PerExample, Points


@dataclass(frozen=True, repr=False)
class Attack(Described, ABC):
    """Raises a per-example loss within a threat. A value: its options are all there is to it. Give `search`."""

    name: ClassVar[str]
    classifiers_only: ClassVar[bool] = False
    threat: Threat = field(default_factory=Threat)

    def __call__(
        self,
        loss: Loss | Goal,
        images: Points,
        *,
        generator: torch.Generator | None = None,
        eps: PerExample | None = None,
        initial: Points | None = None,
    ) -> Points:
        """Adversarial images for `images` (n, c, h, w) in [0, 1], detached.

        loss: differentiable, images -> (n,), grows as the attacker wins; or a Goal. The model behind it is used as it is:
            put it in eval mode.
        generator: of the random numbers; None takes torch's global one.
        eps: (n,), a size per image instead of the threat's.
        initial: points of the ball that are found before, in a smaller ball for example: the result is no weaker than they are.

        Per example the worst point seen is returned, never one with a lower loss than the clean image, unless the attack
        says otherwise. Raises RuntimeError where no gradient reaches the images, ValueError for images that are not finite
        floats in [0, 1] and for a loss that is NaN on them. What the goal's own checks find wrong with a point on the way is
        raised when the search is over: to look at each would make the host wait for the device at every step.
        """
        images = images.detach()
        ball = self.threat.around(images, eps)
        goal = Goal.of(loss, images)
        strongest = Strongest(images, goal.judge(images))
        refuse(
            strongest.values.isnan().any(),
            lambda: ValueError(
                "the loss is NaN for some of the clean images, where no attack can raise it; check the model"
            ),
        )
        with together():
            if initial is not None:
                rows = goal.open(strongest.values)
                point = ball.take(rows).project(initial[rows])
                strongest.offer(rows, point, goal.take(rows).judge(point))
            self.search(goal, ball, strongest, generator)
        goal.effort.settle()
        return strongest.images

    def plan(self, goal: Goal) -> Attack:
        """The attack that runs against this goal, with whatever it leaves to the goal decided: what a report names.

        Raises ValueError for a loss that the goal does not have.
        """
        return self

    @abstractmethod
    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        """Offer points of the ball to `strongest`, which knows the clean images already."""


class Strongest:
    """Per example, the point with the largest deciding loss among those offered."""

    def __init__(self, images: Points, values: PerExample) -> None:
        self.images, self.values = images.clone(), values.clone()

    def offer(self, rows: Tensor, images: Points, values: PerExample) -> None:
        """Keep `images`, which belong to `rows`, where their loss is larger; NaN never wins."""
        before = self.values[rows]
        better = values > before
        wide = better.view(-1, *[1] * (images.ndim - 1))
        # All rows are written, for to pick those that are better the host would have to wait for their number.
        self.images[rows] = torch.where(wide, images.detach(), self.images[rows])
        self.values[rows] = torch.where(better, values, before)

    def take(self, rows: Tensor) -> Strongest:
        """The same of some rows, apart: give it back with `offer`."""
        return Strongest(self.images[rows], self.values[rows])


def warn_if_flat(gradient: Points) -> None:
    """A start where no image has a gradient (the loss is at its minimum there, or saturated) makes an attack do nothing."""
    if len(gradient) and not gradient.any():
        warnings.warn(
            "the loss is flat at the clean images, so that this attack leaves them unchanged; use PGD with start='random'",
            RuntimeWarning,
            stacklevel=3,
        )
