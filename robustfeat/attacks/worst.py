"""Several attacks as one: the worst of them per example, where later attacks run only on what the earlier ones left."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from robustfeat.attacks.base import Attack, Strongest
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball


@dataclass(frozen=True, repr=False)
class Worst(Attack):
    """Runs attacks one after the other, and returns the worst point of all of them per example.

    Where the goal defines success, each attack runs on the survivors of those before it.

    Args:
        attacks: at least one attack. All must have the same threat, which is that of the whole.
    """

    name = "worst"
    attacks: tuple[Attack, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "attacks", tuple(self.attacks))
        if not self.attacks:
            raise ValueError("attacks is empty; give at least one attack")
        for attack in self.attacks:
            if attack.threat != self.threat:
                raise ValueError(
                    f"{attack.name} has threat {attack.threat}, the whole has {self.threat}; make them equal"
                )

    def plan(self, goal: Goal) -> Attack:
        return replace(self, attacks=tuple(attack.plan(goal) for attack in self.attacks))

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        for attack in self.attacks:
            rows = goal.open(strongest.values)
            if len(rows) == 0:
                return
            left = strongest.take(rows)
            attack.search(goal.take(rows), ball.take(rows), left, generator)
            strongest.offer(rows, left.images, left.values)
