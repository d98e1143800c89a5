"""The cost of an attack: forward and backward passes, with the zero gradients and the late gains that it saw."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from robustfeat.numerics.types import PerExample, Points


@dataclass
class Effort:
    """Summed over images, restarts and everything that one attack runs.

    forwards, backwards: images that went through the model, and back.
    steps: per gradient step of an ascent, the images that took part and how many of them had a gradient of exactly 0.
    climbed, climbed_late: what the followed loss gained over an ascent, and in its last quarter, summed over the images
        that were never won.
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
        """Note a gradient step of the images that are marked in `among`, bool (n,)."""
        flat = among & ~gradient.flatten(1).any(dim=1)
        self._steps.append((step, torch.stack([among.sum(), flat.sum()])))

    def ended(self, first: PerExample, late: PerExample, last: PerExample) -> None:
        """Note an ascent: the best loss after one step, after three quarters and at the end, of the images that are left."""
        self._gains.append(torch.stack([_finite_sum(last - first), _finite_sum(last - late)]))

    def settle(self) -> None:
        """Count what has been noted. The host waits for the device, so that this is done once, when an attack is over."""
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
        """Count the other's in."""
        other.settle()
        self.forwards += other.forwards
        self.backwards += other.backwards
        self.climbed += other.climbed
        self.climbed_late += other.climbed_late
        for step, (images, flat) in other.steps.items():
            self._count(step, images, flat)

    @property
    def zero_gradients(self) -> float:
        """The largest share of zero gradients among the steps."""
        return max((flat / images for images, flat in self.steps.values() if images), default=0.0)

    @property
    def rising(self) -> float:
        """Share of the whole gain that came in the last quarter of the steps; 0 where nothing was gained."""
        return self.climbed_late / self.climbed if self.climbed > 0 else 0.0


def _finite_sum(values: Tensor) -> Tensor:
    return torch.where(values.isfinite(), values, 0).sum()
