"""Linear probe on frozen features ("SLF", standard linear finetuning)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from robustfeat.tasks.base import TASKS, Aim, Task, check_features, check_fit
from torch import Tensor
from torch.nn import functional as F

from robustfeat import logistic, losses
from robustfeat.random import generator
from robustfeat.types import Features, Logits, PerExample

UNTARGETED = {"margin": losses.margin, "ce": losses.cross_entropy, "dlr": losses.dlr}

TARGETED = {"margin": losses.targeted_margin, "dlr": losses.targeted_dlr}


@TASKS.register("probe")
class LinearProbe(Task):
    """Multinomial logistic regression; its penalty is chosen on a held-out part of the training features.

    Args:
        held_out: share of the training features on which the penalty is chosen.
        seed: of the choice of that share.
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, held_out: float = 0.2, seed: int = 0) -> None:
        super().__init__()
        if not 0 < held_out < 1:
            raise ValueError(f"held_out must be in (0, 1), got {held_out!r}")
        self.held_out, self.seed = held_out, seed
        self.penalty_: float | None = None
        self.register_buffer("weight", None)
        self.register_buffer("bias", None)

    def fit(self, features: Features, targets: Tensor) -> Self:
        check_fit(features, targets)
        if len(targets.unique()) < 2:
            raise ValueError("a probe needs at least two classes, the training targets have one")
        classes = int(targets.max()) + 1
        linear, self.penalty_ = logistic.fit_held_out(features, targets, classes, generator(self.seed), self.held_out)
        self.weight, self.bias = linear.weight.to(features.device), linear.bias.to(features.device)
        return self

    def logits(self, features: Features) -> Logits:
        """Class scores (n, k)."""
        self._require(self.weight)
        assert self.weight is not None
        check_features(features, width=self.weight.shape[1])
        return F.linear(features.to(self.weight.dtype), self.weight, self.bias)

    def judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        return {"accuracy": (self._logits(features, targets).argmax(dim=1) == targets).float()}

    def loss(self, features: Features, targets: Tensor) -> PerExample:
        """Margin of the best wrong class over the right one: > 0 exactly for wrong predictions."""
        return losses.margin(self._logits(features, targets), targets)

    def aims(self) -> dict[str, Aim]:
        self._require(self.weight)
        assert self.weight is not None

        def with_logits(loss: Callable[[Logits, Tensor], PerExample]) -> Callable[..., PerExample]:
            return lambda features, targets, clean: loss(self._logits(features, targets), targets)

        def towards(k: int, loss: Callable[[Logits, Tensor, Tensor], PerExample]) -> Callable[..., PerExample]:
            """To the k-th best wrong class of the clean image."""

            def targeted(features: Features, targets: Tensor, clean: Features) -> PerExample:
                target = losses.runner_up(self._logits(clean, targets), targets, k)
                return loss(self._logits(features, targets), targets, target)

            return targeted

        by_name = {name: with_logits(loss) for name, loss in UNTARGETED.items()}
        for name, targeted in TARGETED.items():
            by_name |= {f"{name}-{k}": towards(k, targeted) for k in range(1, len(self.weight))}
        return {"": Aim(by_name, wins=True, logits=self.logits)}

    def _logits(self, features: Features, targets: Tensor) -> Logits:
        """Class scores of features whose targets are classes of the probe."""
        logits = self.logits(features)
        check_features(features, targets)
        if len(targets) and int(targets.max()) >= logits.shape[1]:
            raise ValueError(
                f"target {int(targets.max())} is not among the {logits.shape[1]} classes the probe was fitted on"
            )
        return logits
