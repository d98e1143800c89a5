"""The linear classifier of a trained model as a task, from the model itself or from a teacher with the same feature space."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from robustfeat.backbones.network import Network
from robustfeat.data import ImageDataset
from robustfeat.features import hub
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.logistic import Linear
from robustfeat.numerics.types import Features
from robustfeat.tasks import TASKS
from robustfeat.tasks.linear import LinearHead


@TASKS.register("head")
class Head(LinearHead):
    """The trained classification head of a model as it is, without any fitting.

    A student whose features were aligned with its teacher's can use the teacher's head. The classes and their numbers are those
    that the model was trained on.

    Args:
        source: the name or folder of a model, as for `robustfeat.load`; None takes the head of the extractor itself.
    """

    learns = False

    def __init__(self, source: str | None = None) -> None:
        super().__init__()
        self.source = source

    @property
    def argument(self) -> str:
        return self.source or ""

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(argument)

    def options(self) -> dict[str, str]:
        """Return the options with the sha256 of the weights behind the name, on which the numbers depend as well."""
        if self.source is None:
            return super().options()
        return super().options() | {"weights": str(hub.load_network(self.source)[1].sha256)}

    def _fit(self, features: Features, targets: Tensor) -> None:
        if self.source is None:
            raise ValueError("the head of the extractor itself comes with the extractor: call fit_on, or give source")
        self._of(hub.load_network(self.source)[0], features, targets)

    def _fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features, targets: Tensor) -> None:
        if self.source:
            self._fit(features, targets)
        else:
            self._of(extractor.network, features, targets)

    def _of(self, network: Network, features: Features, targets: Tensor) -> None:
        name, head = network.architecture.name, network.head
        if head.in_features != features.shape[1]:
            raise ValueError(
                f"the head of {name} takes {head.in_features} features, there are {features.shape[1]}: the spaces differ"
            )
        if head.out_features <= int(targets.max()):
            raise ValueError(
                f"the head of {name} has {head.out_features} classes, the data has {int(targets.max()) + 1}"
            )
        bias = head.weight.new_zeros(head.out_features) if head.bias is None else head.bias
        self._take(Linear(head.weight.detach().clone(), bias.detach().clone()), features)
