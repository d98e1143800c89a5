"""A linear head that is trained adversarially on a frozen backbone ("ALF", adversarial linear finetuning)."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from robustfeat.attacks import Threat
from robustfeat.data import ImageDataset
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.logistic import Linear
from robustfeat.numerics.scale import mean_square
from robustfeat.numerics.types import Features
from robustfeat.tasks import TASKS
from robustfeat.tasks.linear import LinearHead
from robustfeat.tasks.probe import LinearProbe
from robustfeat.training.adversarial_linear import fit_attacked


@TASKS.register("adversarial-probe")
class AdversarialProbe(LinearHead):
    """A linear probe trained with cross-entropy on images that PGD attacks through backbone and head; only the head learns.

    The head is trained by SGD with momentum and a cosine learning rate, starting from the clean probe. (The protocol of ACL and
    DynACL takes 25 epochs from scratch.) It is trained on images (`fit_on`, which `evaluate` calls); `fit` on features alone
    gives the clean head that training starts from.

    Args:
        threat: the threat of the attack on the training images; None takes Threat().
        steps: PGD steps on each batch.
        epochs: passes over the training images.
        lr: the learning rate in units of 1 / E|f|^2, so that it does not depend on the scale of the features.
        batch_size: images per step.
        seed: of the order of the images and the random starts.
    """

    def __init__(
        self,
        threat: Threat | None = None,
        steps: int = 5,
        epochs: int = 3,
        lr: float = 1.0,
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in {"steps": steps, "epochs": epochs, "lr": lr, "batch_size": batch_size}.items():
            if not value > 0:
                raise ValueError(f"{name} must be greater than 0, got {value!r}")
        self.threat = Threat() if threat is None else threat
        self.steps, self.epochs, self.lr, self.batch_size, self.seed = steps, epochs, lr, batch_size, seed

    @property
    def argument(self) -> str:
        return "" if self.threat == Threat() else str(self.threat.eps)

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(Threat("linf", Eps(argument)))

    def _fit(self, features: Features, targets: Tensor) -> None:
        self._take(LinearProbe(seed=self.seed).fit(features, targets).linear(), features)

    def _fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features, targets: Tensor) -> None:
        self._fit(features, targets)
        head = fit_attacked(
            extractor,
            data,
            Linear(*(values.to(extractor.device) for values in self.linear())),
            self.threat,
            mean_square(features),
            steps=self.steps,
            epochs=self.epochs,
            lr=self.lr,
            batch_size=self.batch_size,
            seed=self.seed,
            label=self.name,
        )
        self._take(head, features)
