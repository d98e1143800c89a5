"""The losses shared by classifiers on features, and the base class of linear classifiers."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from robustfeat.numerics import losses
from robustfeat.numerics.checks import refuse
from robustfeat.numerics.logistic import Linear
from robustfeat.numerics.types import Features, Logits, PerExample
from robustfeat.tasks.aim import Aim
from robustfeat.tasks.base import Task

UNTARGETED = {"margin": losses.margin, "ce": losses.cross_entropy, "dlr": losses.dlr}

TARGETED = {"margin": losses.targeted_margin, "dlr": losses.targeted_dlr}


def class_losses(classes: int) -> dict[str, Callable[[Logits, Tensor], PerExample]]:
    """Return losses of class scores (n, k) by name: margin (first), cross-entropy, DLR, and targeted margin and DLR.

    The targeted losses exist for every wrong class. The second argument of each loss has all classes of an example (n, k): the
    right one, then the others, in the order of their scores on the clean image (`losses.best_first`).

    Args:
        classes: the number of classes k.
    """

    def untargeted(loss: Callable[[Logits, Tensor], PerExample]) -> Callable[[Logits, Tensor], PerExample]:
        return lambda logits, asked: loss(logits, asked[:, 0])

    def towards(k: int, loss: Callable[[Logits, Tensor, Tensor], PerExample]) -> Callable[[Logits, Tensor], PerExample]:
        return lambda logits, asked: loss(logits, asked[:, 0], asked[:, k])

    by_name = {name: untargeted(loss) for name, loss in UNTARGETED.items()}
    for name, loss in TARGETED.items():
        by_name |= {f"{name}-{k}": towards(k, loss) for k in range(1, classes)}
    return by_name


def check_classes(targets: Tensor, classes: int) -> None:
    """Check that targets are class numbers of the probe.

    Args:
        targets: (n,), the targets.
        classes: the number of classes of the probe.

    Raises:
        ValueError: otherwise.
    """
    if targets.ndim != 1:
        raise ValueError(f"targets must be integer class numbers (n,), got shape {tuple(targets.shape)}")
    if len(targets):
        most = targets.max()
        refuse(
            most >= classes,
            lambda: ValueError(f"target {int(most)} is not among the {classes} classes the probe was fitted on"),
        )


class LinearHead(Task):
    """The base class of linear classifiers, whose evidence is the class scores W f + b; `_fit` of a subclass calls `_take`."""

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", None)
        self.register_buffer("bias", None)

    def _take(self, linear: Linear, features: Features) -> None:
        """Store the weights on the device of the features."""
        self.weight, self.bias = linear.weight.to(features.device), linear.bias.to(features.device)

    def linear(self) -> Linear:
        """Return the weights.

        Raises:
            RuntimeError: before `fit`.
        """
        if self.weight is None or self.bias is None:
            raise self._unfitted()
        return Linear(self.weight, self.bias)

    def logits(self, features: Features) -> Logits:
        """Return the class scores (n, k) of features (n, d)."""
        return self._evidence(self._seen(features))

    def aims(self) -> dict[str, Aim]:
        return {"": Aim(self, class_losses(len(self.linear().weight)), wins=True, classifier=True)}

    def _evidence(self, features: Features) -> Logits:
        linear = self.linear()
        return linear(features.to(linear.weight.dtype))

    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        return {"accuracy": (self._evidence(features).argmax(dim=1) == targets).float()}

    def _loss(self, evidence: Logits, targets: Tensor) -> PerExample:
        """Return the margin of the best wrong class over the right one, which is > 0 exactly for wrong predictions."""
        return losses.margin(evidence, targets)

    def _asked(self, clean: Features, targets: Tensor) -> Tensor:
        return losses.best_first(self._evidence(clean), targets)

    def _check_targets(self, targets: Tensor) -> None:
        check_classes(targets, len(self.linear().weight))
