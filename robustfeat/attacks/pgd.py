"""Projected gradient descent, Madry et al. 2018: what trains most robust networks, and the first attack on any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from robustfeat.attacks.base import ATTACKS, Attack, Strongest, value_and_gradient, warn_if_flat
from robustfeat.types import Eps, Images, Loss


@ATTACKS.register("pgd")
@dataclass(frozen=True)
class PGD(Attack):
    """`steps` steps along the steepest direction, projected after each, from `restarts` random points of the ball.

    step_size: in pixel units; None takes min(2.5 / steps, 1.25) x eps.  start: "random", or "clean" for the image itself.
    keep: "worst" returns per example the worst point seen; "last" the last one (training: one forward pass less, and
        then the loss may be lower than the clean one).
    """

    steps: int = 20
    step_size: float | None = None
    restarts: int = 1
    start: Literal["random", "clean"] = "random"
    keep: Literal["worst", "last"] = "worst"

    def __post_init__(self) -> None:
        for name in ("steps", "restarts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        step = min(2.5 / self.steps, 1.25) * self.threat.eps if self.step_size is None else self.step_size
        object.__setattr__(self, "step_size", Eps(step))

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images:
        if self.keep == "last":
            return self._climb(loss, images, generator, None)
        with torch.no_grad():
            strongest = Strongest(images, loss(images))
        for _ in range(self.restarts):
            last = self._climb(loss, images, generator, strongest)
            with torch.no_grad():
                strongest.offer(last, loss(last))
        return strongest.images

    def _climb(
        self, loss: Loss, images: Images, generator: torch.Generator | None, strongest: Strongest | None
    ) -> Images:
        """One run of all steps; every point on the way is offered to `worst`."""
        assert self.step_size is not None
        point = self.threat.sample(images, generator) if self.start == "random" else images
        for step in range(self.steps):
            values, gradient = value_and_gradient(loss, point)
            if step == 0 and self.start == "clean":
                warn_if_flat(gradient)
            if strongest is not None:
                strongest.offer(point, values)
            point = self.threat.project(point + self.step_size * self.threat.steepest(gradient), images)
        return point
