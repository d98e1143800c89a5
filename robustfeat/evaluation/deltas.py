"""Attacked images as they are kept on the disk: what was added to the clean ones, in one byte per value."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from robustfeat.attacks.threat import Ball
from robustfeat.numerics.types import Images

LEVELS = 127


class Deltas(NamedTuple):
    """Attacked minus clean images, rounded to steps of 1/127 of the largest change of each image.

    steps: int8, (n, c, h, w).  sizes: of one step, in pixel units, (n,).  No rounded image is further from the clean one than
    before; with linf, a pixel that moved by eps moves by eps.
    exact: bool, (n,), the images that are kept as they are, in whole: float32, (k, c, h, w).
    """

    steps: Tensor
    sizes: Tensor
    exact: Tensor
    whole: Tensor

    @classmethod
    def between(cls, ball: Ball, attacked: Images) -> Self:
        """What it takes to make `attacked` from the clean images again, rounded."""
        delta = attacked - ball.origin
        sizes = delta.abs().flatten(1).amax(dim=1) / LEVELS
        steps = (delta / sizes.clamp_min(1e-12).view(-1, 1, 1, 1)).round()
        rounded = cls(
            steps.to(torch.int8), sizes, torch.zeros(len(delta), dtype=torch.bool, device=delta.device), attacked[:0]
        )
        longer = ball.distance(rounded.images(ball.origin)) / ball.distance(attacked).clamp_min(1e-12)
        return rounded._replace(sizes=sizes / longer.clamp_min(1))

    def keeping(self, exact: Tensor, attacked: Images) -> Self:
        """The same with some images (bool, (n,)) in whole, on the CPU."""
        return type(self)(self.steps.cpu(), self.sizes.cpu(), exact.cpu(), attacked[exact].float().cpu())

    def images(self, clean: Images) -> Images:
        """The attacked images, in [0, 1]."""
        delta = self.steps.to(clean) * self.sizes.to(clean).view(-1, 1, 1, 1)
        return (clean + delta).clamp(0, 1).index_put((self.exact.to(clean.device),), self.whole.to(clean))
