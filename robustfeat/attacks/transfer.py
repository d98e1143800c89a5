"""Transfer attack (Papernot et al. 2016): adversarial images that are crafted on another model and tried on this one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from robustfeat.attacks.base import Attack, Strongest
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball


@dataclass(frozen=True, repr=False)
class Transfer(Attack):
    """Runs an attack on the same goal through another model, and tries the adversarial images on this one.

    Where it beats a white-box attack on this model, that attack has failed.

    Args:
        attack: the attack that runs on the source. Its threat must be that of the transfer attack.
        source: a FeatureExtractor (in `evaluate` the task is fitted on its features as well), or whatever the goal's `surrogate`
            takes.
    """

    name = "transfer"
    attack: Attack | None = None
    source: Any = None

    def __post_init__(self) -> None:
        if self.attack is None or self.source is None:
            raise ValueError("a transfer attack needs an attack and a source model")
        if self.attack.threat != self.threat:
            raise ValueError(f"attack has threat {self.attack.threat}, the transfer {self.threat}; make them equal")

    def plan(self, goal: Goal) -> Attack:
        assert self.attack is not None
        return replace(self, attack=self.attack.plan(goal))

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        if goal.surrogate is None:
            raise ValueError("this goal cannot be put to another model; a transfer attack needs one from `evaluate`")
        assert self.attack is not None
        rows = goal.open(strongest.values)
        if len(rows) == 0:
            return
        part, around = goal.take(rows), ball.take(rows)
        through_source = goal.surrogate(self.source).take(part.rows)
        # From the images themselves: what is decided here says nothing about what is decided there.
        apart = Strongest(around.origin, through_source.judge(around.origin))
        self.attack.search(through_source, around, apart, generator)
        strongest.offer(rows, apart.images, part.judge(apart.images))
        goal.effort.add(through_source.effort)

    @property
    def configuration(self) -> str:
        """Every option with its value, and the weights of the source."""
        assert self.attack is not None
        card = getattr(self.source, "card", None)
        source = f"{card.name}, sha256 {card.sha256}" if card else type(self.source).__name__
        return f"Transfer(attack={self.attack.configuration}, source={source!r})"
