"""Compact storage of attacked images as perturbations of the clean images, with one byte per value."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from robustfeat.attacks.threat import Ball
from robustfeat.numerics.types import Images

LEVELS = 127


class Deltas(NamedTuple):
    """Perturbations (attacked minus clean images), rounded to steps of 1/127 of the largest change of each image.

    No rounded image is further from the clean one than before; with linf, a pixel that moved by eps still moves by eps.

    Args:
        steps: int8, (n, c, h, w), the rounded perturbations in steps.
        sizes: (n,), the size of one step of each image, in pixel units.
        exact: bool, (n,), which images are stored without rounding.
        whole: float32, (k, c, h, w), the attacked images that are stored without rounding.
    """

    steps: Tensor
    sizes: Tensor
    exact: Tensor
    whole: Tensor

    @classmethod
    def between(cls, ball: Ball, attacked: Images) -> Self:
        """Round the perturbations between the clean images of a ball and attacked images.

        Args:
            ball: the threat around the clean images.
            attacked: (n, c, h, w), the attacked images.

        Returns:
            The rounded perturbations; no image is stored without rounding.
        """
        delta = attacked - ball.origin
        sizes = delta.abs().flatten(1).amax(dim=1) / LEVELS
        steps = (delta / sizes.clamp_min(1e-12).view(-1, 1, 1, 1)).round()
        rounded = cls(
            steps.to(torch.int8), sizes, torch.zeros(len(delta), dtype=torch.bool, device=delta.device), attacked[:0]
        )
        longer = ball.distance(rounded.images(ball.origin)) / ball.distance(attacked).clamp_min(1e-12)
        return rounded._replace(sizes=sizes / longer.clamp_min(1))

    def keeping(self, exact: Tensor, attacked: Images) -> Self:
        """Return a copy on the CPU that stores some images without rounding.

        Args:
            exact: bool, (n,), the images to store without rounding.
            attacked: (n, c, h, w), the attacked images.
        """
        return type(self)(self.steps.cpu(), self.sizes.cpu(), exact.cpu(), attacked[exact].float().cpu())

    def images(self, clean: Images) -> Images:
        """Return the attacked images in [0, 1], computed from the clean images (n, c, h, w)."""
        delta = self.steps.to(clean) * self.sizes.to(clean).view(-1, 1, 1, 1)
        return (clean + delta).clamp(0, 1).index_put((self.exact.to(clean.device),), self.whole.to(clean))
