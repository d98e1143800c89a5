"""What an attack has cost and met: counts that travel with its result."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from robustfeat.types import PerExample, Points


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

    def took_step(self, step: int, gradient: Points) -> None:
        """Note a gradient step."""
        images, flat = self.steps.get(step, (0, 0))
        alive = int(gradient.flatten(1).any(dim=1).sum())
        self.steps[step] = (images + len(gradient), flat + len(gradient) - alive)

    def ended(self, first: PerExample, late: PerExample, last: PerExample) -> None:
        """Note an ascent: the best loss after one step, after three quarters and at the end, of the images that are left."""
        self.climbed += _finite_sum(last - first)
        self.climbed_late += _finite_sum(last - late)

    def add(self, other: Effort) -> None:
        """Count the other's in."""
        self.forwards += other.forwards
        self.backwards += other.backwards
        self.climbed += other.climbed
        self.climbed_late += other.climbed_late
        for step, (images, flat) in other.steps.items():
            before = self.steps.get(step, (0, 0))
            self.steps[step] = (before[0] + images, before[1] + flat)

    @property
    def zero_gradients(self) -> float:
        """The largest share of zero gradients among the steps."""
        return max((flat / images for images, flat in self.steps.values() if images), default=0.0)

    @property
    def rising(self) -> float:
        """Share of the whole gain that came in the last quarter of the steps; 0 where nothing was gained."""
        return self.climbed_late / self.climbed if self.climbed > 0 else 0.0


def _finite_sum(values: Tensor) -> float:
    return float(values[values.isfinite()].sum())
