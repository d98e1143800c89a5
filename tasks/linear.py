"""What every linear classifier on features shares, wherever its weights come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Self

from torch import Tensor

from robustfeat.numerics import losses
from robustfeat.numerics.checks import refuse
from robustfeat.numerics.logistic import Linear
from robustfeat.numerics.types import Features, Logits, PerExample
from robustfeat.tasks.base import Aim, Task, check_features

UNTARGETED = {"margin": losses.margin, "ce": losses.cross_entropy, "dlr": losses.dlr}

TARGETED = {"margin": losses.targeted_margin, "dlr": losses.targeted_dlr}


def classifier_aim(
    classes: int,
    logits: Callable[[Features], Logits],
    decides: Callable[[Features, Tensor], PerExample] | None = None,
    *,
    wins: bool = True,
) -> Aim:
    """The aim at a classifier: the margin decides, and attacks may follow cross-entropy, DLR, or any one wrong class.

    logits: of features, differentiable.  decides: the deciding loss (features, targets), where it is not their margin: then the
    largest logit is not the decision, and attacks that take a classifier for their own have none.
    """

    def untargeted(loss: Callable[[Logits, Tensor], PerExample]) -> Callable[..., PerExample]:
        return lambda features, targets, clean: loss(checked(logits(features), targets), targets)

    def towards(k: int, loss: Callable[[Logits, Tensor, Tensor], PerExample]) -> Callable[..., PerExample]:
        """To the k-th best wrong class of the clean image."""

        def targeted(features: Features, targets: Tensor, clean: Features) -> PerExample:
            target = losses.runner_up(checked(logits(clean), targets), targets, k)
            return loss(logits(features), targets, target)

        return targeted

    by_name: dict[str, Callable[..., PerExample]] = {}
    if decides is not None:
        by_name["decision"] = lambda features, targets, clean: decides(features, targets)
    by_name |= {name: untargeted(loss) for name, loss in UNTARGETED.items()}
    for name, targeted in TARGETED.items():
        by_name |= {f"{name}-{k}": towards(k, targeted) for k in range(1, classes)}
    return Aim(by_name, wins=wins, logits=logits if decides is None else None)


def checked(logits: Logits, targets: Tensor) -> Logits:
    """The logits (n, k), if the targets (n,) are classes of theirs; ValueError otherwise."""
    check_features(logits, targets)
    if len(targets):
        most, classes = targets.max(), logits.shape[1]
        refuse(
            most >= classes,
            lambda: ValueError(f"target {int(most)} is not among the {classes} classes the probe was fitted on"),
        )
    return logits


class LinearHead(Task):
    """Logits W f + b; give `fit`, which calls `_take`."""

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", None)
        self.register_buffer("bias", None)

    @abstractmethod
    def fit(self, features: Features, targets: Tensor) -> Self: ...

    def _take(self, linear: Linear, features: Features) -> Self:
        """Use these weights, where the features are."""
        self.weight, self.bias = linear.weight.to(features.device), linear.bias.to(features.device)
        return self

    def linear(self) -> Linear:
        """Its weights; RuntimeError where it is not fitted."""
        self._require(self.weight)
        assert self.weight is not None
        assert self.bias is not None
        return Linear(self.weight, self.bias)

    def logits(self, features: Features) -> Logits:
        """Class scores (n, k)."""
        linear = self.linear()
        check_features(features, width=linear.weight.shape[1])
        return linear(features.to(linear.weight.dtype))

    def judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        return {"accuracy": (checked(self.logits(features), targets).argmax(dim=1) == targets).float()}

    def loss(self, features: Features, targets: Tensor) -> PerExample:
        """Margin of the best wrong class over the right one: > 0 exactly for wrong predictions."""
        return losses.margin(checked(self.logits(features), targets), targets)

    def aims(self) -> dict[str, Aim]:
        return {"": classifier_aim(len(self.linear().weight), self.logits)}
