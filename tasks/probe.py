"""The linear probe on frozen features ("SLF", standard linear finetuning)."""

from __future__ import annotations

from torch import Tensor

from robustfeat.numerics import logistic
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Features
from robustfeat.tasks import TASKS
from robustfeat.tasks.linear import LinearHead


@TASKS.register("probe")
class LinearProbe(LinearHead):
    """Multinomial logistic regression; its penalty is chosen on a held-out part of the training features.

    Args:
        held_out: the share of the training features on which the penalty is chosen, in (0, 1).
        seed: of the choice of the held-out part.
    """

    def __init__(self, held_out: float = 0.2, seed: int = 0) -> None:
        super().__init__()
        if not 0 < held_out < 1:
            raise ValueError(f"held_out must be in (0, 1), got {held_out!r}")
        self.held_out, self.seed = held_out, seed
        self.penalty_: float | None = None

    def _fit(self, features: Features, targets: Tensor) -> None:
        if len(targets.unique()) < 2:
            raise ValueError("a probe needs at least two classes, the training targets have one")
        classes = int(targets.max()) + 1
        linear, self.penalty_ = logistic.fit_held_out(features, targets, classes, generator(self.seed), self.held_out)
        self._take(linear, features)
