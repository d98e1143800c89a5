"""Linear classifiers, whose smallest adversarial perturbation is known: margin over the dual norm of a difference of rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from robustfeat.attacks import Goal
from robustfeat.numerics import losses
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Images, Labels


class Linear:
    """Random weights for images of this shape near grey, so that no pixel is stopped by 0 or 1."""

    def __init__(self, classes: int, shape: tuple[int, ...], n: int, seed: int = 0) -> None:
        random = generator(seed, classes, n)
        self.images: Images = 0.5 + 0.02 * torch.randn(n, *shape, generator=random)
        self.weight = torch.randn(classes, self.images[0].numel(), generator=random)
        self.labels: Labels = self(self.images).argmax(1)

    def __call__(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.T

    def needed(self, norm: str) -> Tensor:
        """The smallest perturbation that changes the prediction, (n,)."""
        logits = self(self.images)
        gaps = logits.gather(1, self.labels[:, None]) - logits
        difference = self.weight[self.labels][:, None] - self.weight
        dual = difference.abs().sum(2) if norm == "linf" else difference.norm(dim=2)
        distances = gaps / dual.clamp_min(1e-12)
        return distances.scatter(1, self.labels[:, None], torch.inf).amin(1)

    def goal(self) -> Goal:
        """Margin decides; cross-entropy, DLR and one loss per wrong class can be climbed."""
        clean = self(self.images)

        def towards(k: int, loss: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
            target = losses.best_first(clean, self.labels)[:, k]
            return lambda z, rows: loss(z, self.labels[rows], target[rows])

        functions = {"margin": losses.margin, "ce": losses.cross_entropy, "dlr": losses.dlr}
        by_name = {name: lambda z, rows, f=f: f(z, self.labels[rows]) for name, f in functions.items()}
        for name, loss in {"dlr": losses.targeted_dlr, "margin": losses.targeted_margin}.items():
            by_name |= {f"{name}-{k}": towards(k, loss) for k in range(1, len(self.weight))}
        return Goal(self, by_name, torch.arange(len(self.images)), wins=True)

    def won(self, images: Tensor) -> Tensor:
        """Which images are no longer classified as they were."""
        return self(images).argmax(1) != self.labels
