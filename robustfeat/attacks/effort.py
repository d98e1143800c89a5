"""The cost of an attack: forward and backward passes, with the zero gradients and the late gains that it saw."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from robustfeat.numerics.types import PerExample, Points


@dataclass
class Effort:
    """The cost of an attack, summed over images, restarts and everything that the attack runs.

    Args:
        forwards: number of images that passed forward through the model.
        backwards: number of images that passed backward through the model.
        steps: for each gradient step of an ascent, the number of images that took part and the number of those whose gradient
            was exactly 0.
        climbed: gain of the followed loss over an ascent, summed over the images that were never won.
        climbed_late: the same gain in the last quarter of the ascent.
    """

    forwards: int = 0
    backwards: int = 0
    steps: dict[int, tuple[int, int]] = field(default_factory=dict)
    climbed: float = 0.0
    climbed_late: float = 0.0

    def __post_init__(self) -> None:
        # What has been noted and not read yet: numbers that lie on the device.
        self._steps: list[tuple[int, Tensor]] = []
        self._gains: list[Tensor] = []

    def took_step(self, step: int, gradient: Points, among: Tensor) -> None:
        """Record a gradient step of the images that are marked in `among`, bool (n,)."""
        flat = among & ~gradient.flatten(1).any(dim=1)
        self._steps.append((step, torch.stack([among.sum(), flat.sum()])))

    def ended(self, first: PerExample, late: PerExample, last: PerExample) -> None:
        """Record the end of an ascent, for the images that are left.

        Args:
            first: best loss (n,) after one step.
            late: best loss (n,) after three quarters of the steps.
            last: best loss (n,) at the end.
        """
        self._gains.append(torch.stack([_finite_sum(last - first), _finite_sum(last - late)]))

    def settle(self) -> None:
        """Add what was recorded to the counts: once, when an attack is over, as the host waits for the device here."""
        steps, gains = self._steps, self._gains
        self._steps, self._gains = [], []
        if steps:
            counts = torch.stack([pair for _, pair in steps]).tolist()
            for (step, _), (images, flat) in zip(steps, counts, strict=True):
                self._count(step, images, flat)
        for climbed, late in torch.stack(gains).tolist() if gains else ():
            self.climbed += climbed
            self.climbed_late += late

    def _count(self, step: int, images: int, flat: int) -> None:
        before = self.steps.get(step, (0, 0))
        self.steps[step] = (before[0] + images, before[1] + flat)

    def add(self, other: Effort) -> None:
        """Add the counts of another effort."""
        other.settle()
        self.forwards += other.forwards
        self.backwards += other.backwards
        self.climbed += other.climbed
        self.climbed_late += other.climbed_late
        for step, (images, flat) in other.steps.items():
            self._count(step, images, flat)

    @property
    def zero_gradients(self) -> float:
        """The largest share of zero gradients among the steps, in [0, 1]."""
        return max((flat / images for images, flat in self.steps.values() if images), default=0.0)

    @property
    def rising(self) -> float:
        """The share of the whole gain that came in the last quarter of the steps; 0 if nothing was gained."""
        return self.climbed_late / self.climbed if self.climbed > 0 else 0.0


def _finite_sum(values: Tensor) -> Tensor:
    return torch.where(values.isfinite(), values, 0).sum()
