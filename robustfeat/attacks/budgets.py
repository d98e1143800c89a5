"""Two budgets: `fast` for development, `standard` for final numbers. Which attacks they run depends on the goal."""

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
    """An attack that runs other attacks, which `plan` chooses."""

    @abstractmethod
    def plan(self, goal: Goal) -> Attack: ...

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        self.plan(goal).search(goal, ball, strongest, generator)


@ATTACKS.register("fast")
@dataclass(frozen=True, repr=False)
class Fast(Budget):
    """APGD on cross-entropy, then on the survivors APGD with the targeted DLR loss towards each of the best wrong classes.

    Where the goal is not a class, APGD runs on the loss of the goal.

    Args:
        steps: gradient steps of each run.
        targets: number of wrong classes that are targeted.
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
    """AutoAttack as published for classifiers; for other goals the worst of APGD, APGD with five restarts, and Square.

    Where the goal is a class but no logits decide (voting neighbours), APGD towards each wrong class replaces the restarts.
    """

    def plan(self, goal: Goal) -> Attack:
        if goal.classifier is not None:
            return AutoAttack(self.threat)
        second = APGD(self.threat, climb="dlr-*") if _has_classes(goal) else APGD(self.threat, restarts=5)
        return Worst(self.threat, (APGD(self.threat), second, Square(self.threat))).plan(goal)


def _has_classes(goal: Goal) -> bool:
    """Return whether the goal has a loss towards each wrong class."""
    return "margin-1" in goal.losses
