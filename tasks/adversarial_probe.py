"""A linear head that is trained adversarially on a frozen backbone ("ALF", adversarial linear finetuning)."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.attacks import PGD, Threat
from robustfeat.data import ImageDataset
from robustfeat.eps import Eps
from robustfeat.extractor import FeatureExtractor
from robustfeat.logistic import Linear
from robustfeat.progress import Progress
from robustfeat.random import generator
from robustfeat.tasks import TASKS
from robustfeat.tasks.linear import LinearHead
from robustfeat.tasks.probe import LinearProbe
from robustfeat.types import Features

ALF = 12  # what this stream of random numbers is for


@TASKS.register("adversarial-probe")
class AdversarialProbe(LinearHead):
    """Cross-entropy on images that PGD attacks through backbone and head; only the head learns, by SGD with momentum and a
    cosine rate, from the clean probe on. (The protocol of ACL and DynACL takes 25 epochs from scratch.)

    It learns from images (`fit_on`, which `evaluate` calls); `fit` on features alone gives the clean head it starts from.

    Args:
        threat: what the attacker may do to the training images; None takes Threat().
        steps: of PGD on each batch.
        epochs: passes over the training images.
        lr: in units of 1 / E|f|^2, so that the scale of the features is no matter.
        batch_size: images per step.
        seed: of the order and the random starts.
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
    def title(self) -> str:
        return self.name if self.threat == Threat() else f"{self.name}:{self.threat.eps}"

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(Threat("linf", Eps(argument)))

    def fit(self, features: Features, targets: Tensor) -> Self:
        return self._take(LinearProbe(seed=self.seed).fit(features, targets).linear(), features)

    def fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features) -> Self:
        labels = data.require_labels()
        start = self.fit(features, labels.to(features.device)).linear()
        weight, bias = (values.clone().requires_grad_() for values in start)
        rate = self.lr / float(features.pow(2).sum(dim=1).mean().clamp_min(1e-12))
        optimizer = torch.optim.SGD([weight, bias], lr=rate, momentum=0.9)
        attack = PGD(self.threat, steps=self.steps, keep="last")
        total = self.epochs * math.ceil(len(data) / self.batch_size)
        step = 0
        with Progress(f"{self.name}", total, "steps") as bar:
            for epoch in range(self.epochs):
                order = torch.randperm(len(data), generator=generator(self.seed, ALF, epoch))
                for rows in order.split(self.batch_size):
                    for group in optimizer.param_groups:
                        group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / total))
                    images, y = data.batch(rows).images.to(extractor.device), labels[rows].to(extractor.device)
                    head = Linear(weight.detach(), bias.detach())
                    random = generator(self.seed, ALF, epoch, step, device=extractor.device)
                    attacked = attack(_CrossEntropy(extractor, head, y), images, generator=random)
                    with torch.no_grad():
                        seen = extractor(attacked)
                    F.cross_entropy(F.linear(seen, weight, bias), y).backward()
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                    step += 1
                    bar.advance(1)
        return self._take(Linear(weight.detach(), bias.detach()), features)


class _CrossEntropy:
    """images -> cross-entropy of a head on their features."""

    def __init__(self, extractor: FeatureExtractor, head: Linear, labels: Tensor) -> None:
        self.extractor, self.head, self.labels = extractor, head, labels

    def __call__(self, images: Tensor) -> Tensor:
        return F.cross_entropy(self.head(self.extractor(images)), self.labels, reduction="none")
