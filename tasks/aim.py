"""What an attack raises: losses of what a task decides by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from robustfeat.numerics.types import Features, PerExample

if TYPE_CHECKING:
    from robustfeat.tasks.base import Task

Losses = Mapping[str, Callable[[Any, Tensor], PerExample]]
"""By name, (evidence of features under attack, what is asked of them) -> (n,). The first decides which of two attacks is worse;
an attack may climb another one."""


class Aim(NamedTuple):
    """The losses of a fitted task that an attack on one of its metrics raises.

    Features become evidence (`task.evidence`), once for all losses; what is asked (`task.asked`) is the same all along an attack.

    wins: whether the first loss is > 0 exactly where the defender has lost, and no further attack makes it worse.
    classifier: whether the evidence is class scores, and the largest is the decision.
    """

    task: Task
    losses: Losses
    wins: bool
    classifier: bool = False

    def decides(self, features: Features, targets: Tensor, clean: Features) -> PerExample:
        """The deciding loss of features (n, d) under attack, with their targets and the features of the clean images."""
        decides = next(iter(self.losses.values()))
        return decides(self.task.evidence(features), self.task.asked(clean, targets))
