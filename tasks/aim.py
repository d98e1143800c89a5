"""The aim of an attack on a task: the losses that the attack raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from robustfeat.numerics.types import Features, PerExample

if TYPE_CHECKING:
    from robustfeat.tasks.base import Task

Losses = Mapping[str, Callable[[Any, Tensor], PerExample]]
"""Loss functions by name, (evidence of the attacked features, result of `task.asked`) -> (n,). The first loss decides which of
two attacks is stronger; an attack may climb another one."""


class Aim(NamedTuple):
    """The losses of a fitted task that an attack on one of its metrics raises.

    Evidence is computed from features (`task.evidence`) once for all losses; the result of `task.asked` is constant during an
    attack.

    Args:
        task: the fitted task.
        losses: the losses by name; the first decides.
        wins: whether the first loss is > 0 exactly where the defender has lost, so that no further attack makes it worse.
        classifier: whether the evidence is class scores, of which the largest is the decision.
    """

    task: Task
    losses: Losses
    wins: bool
    classifier: bool = False

    def decides(self, features: Features, targets: Tensor, clean: Features) -> PerExample:
        """Return the deciding loss of attacked features.

        Args:
            features: (n, d), the features under attack.
            targets: (n, ...), the targets of the cases.
            clean: (n, d), the features of the clean images.
        """
        decides = next(iter(self.losses.values()))
        return decides(self.task.evidence(features), self.task.asked(clean, targets))
