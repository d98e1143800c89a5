"""Two budgets: `fast` for development, `standard` for a number that is printed as final. What they run depends on the goal."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch

from robustfeat.attacks import ATTACKS
from robustfeat.attacks.apgd import APGD
from robustfeat.attacks.base import Attack, Strongest
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.reference import AutoAttack
from robustfeat.attacks.square import Square
from robustfeat.attacks.threat import Ball
from robustfeat.attacks.worst import Worst


@dataclass(frozen=True, repr=False)
class Budget(Attack):
    """An attack that stands for others."""

    @abstractmethod
    def plan(self, goal: Goal) -> Attack: ...

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        self.plan(goal).search(goal, ball, strongest, generator)


@ATTACKS.register("fast")
@dataclass(frozen=True, repr=False)
class Fast(Budget):
    """APGD on cross-entropy, then on the survivors APGD with the targeted DLR towards each of the best wrong classes.

    Where the goal is no class, APGD on its loss.
    """

    steps: int = 30
    targets: int = 9

    def plan(self, goal: Goal) -> Attack:
        first = APGD(self.threat, steps=self.steps)
        if not _has_classes(goal):
            return first.plan(goal)
        second = APGD(self.threat, steps=self.steps, climb="dlr-*", targets=self.targets)
        return Worst(self.threat, (first, second)).plan(goal)


@ATTACKS.register("standard")
@dataclass(frozen=True, repr=False)
class Standard(Budget):
    """AutoAttack as published for classifiers; else the worst of APGD, APGD with five restarts, and Square.

    Where the goal is a class but no logit decides (voting neighbours), APGD towards each wrong class takes the place of restarts.
    """

    def plan(self, goal: Goal) -> Attack:
        if goal.classifier is not None:
            return AutoAttack(self.threat)
        second = APGD(self.threat, climb="dlr-*") if _has_classes(goal) else APGD(self.threat, restarts=5)
        return Worst(self.threat, (APGD(self.threat), second, Square(self.threat))).plan(goal)


def _has_classes(goal: Goal) -> bool:
    """Whether there is a loss towards each wrong class."""
    return "margin-1" in goal.losses
