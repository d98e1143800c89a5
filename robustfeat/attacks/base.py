"""The base class of attacks: the threat an attack stays within, the loss it raises, and what it guarantees about the result."""

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
    """Base class of attacks, which raise a per-example loss within a threat.

    An attack is a value: its options determine it completely. Subclasses implement `search`.

    Args:
        threat: norm and size of the perturbations.
    """

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
        """Return adversarial images for `images`, detached.

        Per example the worst point seen is returned, never one with a lower loss than the clean image, unless the attack says
        otherwise. Errors that the goal's own checks find during the search are raised when it is over: to evaluate each check
        would make the host wait for the device at every step.

        Args:
            loss: a differentiable function, images -> (n,), that grows as the attacker wins; or a Goal. The model behind it is
                used as it is: put it in eval mode.
            images: clean images (n, c, h, w) in [0, 1].
            generator: source of the random numbers; None takes torch's global generator.
            eps: (n,), a size for each image instead of that of the threat.
            initial: points of the ball that were found before, for example in a smaller ball; the result is no weaker than they
                are.

        Raises:
            RuntimeError: no gradient reaches the images.
            ValueError: the images are not finite floats in [0, 1], or the loss is NaN on them.
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
        """Return the attack that runs against this goal, with every choice that was left to the goal decided.

        Reports name the attack in this form.

        Raises:
            ValueError: the attack climbs a loss that the goal does not have.
        """
        return self

    @abstractmethod
    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        """Offer points of the ball to `strongest`, which holds the clean images at the start.

        Args:
            goal: the loss to raise.
            ball: the points that are allowed for each image.
            strongest: keeps per example the worst point that is offered.
            generator: source of the random numbers; None takes torch's global generator.
        """


class Strongest:
    """Keeps, per example, the point with the largest deciding loss among those offered."""

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
        """Return a separate copy for some rows, whose result is merged with `offer`."""
        return Strongest(self.images[rows], self.values[rows])


def warn_if_flat(gradient: Points) -> None:
    """Warn if no image has a gradient (the loss is minimal or saturated), so that an attack that starts there does nothing."""
    if len(gradient) and not gradient.any():
        warnings.warn(
            "the loss is flat at the clean images, so that this attack leaves them unchanged; use PGD with start='random'",
            RuntimeWarning,
            stacklevel=3,
        )
