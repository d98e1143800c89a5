"""The threat of an attack: a norm, a size, and the geometry of the ball that they define."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from robustfeat.numerics.checks import refuse
from robustfeat.numerics.eps import Eps, check_eps, usual_eps
from robustfeat.numerics.pixels import check_pixels
from robustfeat.numerics.types import PerExample, Points


@dataclass(frozen=True)
class Threat:
    """All images within `eps` of the original, in the given norm and in [0, 1].

    Args:
        norm: "linf" or "l2", over all pixels and channels of an image.
        eps: in pixel units of [0, 1], such as Eps("8/255"); None takes the usual size for the norm (`usual_eps`). At most 1 in
            linf: a larger number is probably meant in steps of 1/255, and is refused.
    """

    norm: Literal["linf", "l2"] = "linf"
    eps: float = None  # type: ignore[assignment]  # never None once constructed

    def __post_init__(self) -> None:
        usual = usual_eps(self.norm)
        object.__setattr__(self, "eps", usual if self.eps is None else Eps(self.eps))
        check_eps(self.norm, self.eps)

    def times(self, factor: float) -> Threat:
        """Return the threat with `factor` times its size; in linf, at most the size that allows all images."""
        size = factor * self.eps
        return replace(self, eps=Eps(min(size, 1.0) if self.norm == "linf" else size))

    def around(self, images: Points, eps: PerExample | None = None) -> Ball:
        """Return the ball around each image.

        Args:
            images: the centres (n, ...), in [0, 1].
            eps: (n,), a size for each image instead of that of the threat.

        Raises:
            ValueError: the images are not finite floats in [0, 1] of at least 32 bits, or a size is not positive or, in linf,
                above 1.
        """
        check_pixels(images)
        if torch.finfo(images.dtype).bits < 32:
            raise ValueError(
                f"images of {images.dtype} cannot hold a ball of {self}, whose border they round away; give float32 images, and "
                "cast them inside the loss"
            )
        if eps is None:
            sizes = torch.full((len(images),), self.eps, dtype=images.dtype, device=images.device)
        else:
            sizes = eps
            largest = 1.0 if self.norm == "linf" else math.inf
            wrong = ValueError(
                f"eps must be {len(images)} positive numbers, at most {largest:g}, one per image, got {eps!r}"
            )
            if eps.shape != images.shape[:1]:
                raise wrong
            refuse(~((eps > 0) & (eps <= largest)).all(), lambda: wrong)
        return Ball(self.norm, images.detach(), sizes.to(images))

    def __str__(self) -> str:
        return f"{self.norm} {self.eps}"


class Ball:
    """The images that are allowed around each origin.

    Args:
        norm: "linf" or "l2".
        origin: the centres (n, ...).
        eps: the sizes (n,).
    """

    def __init__(self, norm: Literal["linf", "l2"], origin: Points, eps: PerExample) -> None:
        self.norm, self.origin = norm, origin
        self.eps = eps.view(-1, *[1] * (origin.ndim - 1))

    def take(self, rows: Tensor) -> Ball:
        """Return the balls around some of the images."""
        return Ball(self.norm, self.origin[rows], self.eps[rows].flatten())

    def project(self, images: Points) -> Points:
        """Return the nearest point of the ball, then of [0, 1]; the second projection cannot leave the ball."""
        delta = images - self.origin
        if self.norm == "linf":
            return (self.origin + torch.minimum(torch.maximum(delta, -self.eps), self.eps)).clamp(0, 1)
        return (self.origin + delta * (self.eps / length(delta)).clamp(max=1)).clamp(0, 1)

    def distance(self, images: Points) -> PerExample:
        """Return the distance of images from the centre, in the norm of the ball, (n,)."""
        delta = (images - self.origin).flatten(1)
        return delta.abs().amax(dim=1) if self.norm == "linf" else delta.norm(dim=1)

    def steepest(self, gradient: Points) -> Points:
        """Return the direction of norm 1 along which a linear function with this gradient rises fastest."""
        return gradient.sign() if self.norm == "linf" else gradient / length(gradient)

    def sample(self, generator: torch.Generator | None) -> Points:
        """Return uniform random points of the ball, clamped to [0, 1]. Without a generator, torch's global one is used."""
        shape = self.origin.shape
        device = self.origin.device if generator is None else generator.device
        if self.norm == "linf":
            noise = torch.rand(shape, generator=generator, device=device).mul_(2).sub_(1).to(self.origin)
        else:
            noise = torch.randn(shape, generator=generator, device=device).to(self.origin)
            radius = torch.rand(len(noise), generator=generator, device=device) ** (1 / max(1, math.prod(shape[1:])))
            noise = noise / length(noise) * radius.to(noise).view(self.eps.shape)
        return (self.origin + self.eps * noise).clamp(0, 1)


def length(x: Tensor) -> Tensor:
    """Return the l2 norm of each image, (n, 1, ...), never 0."""
    return x.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, *[1] * (x.ndim - 1))
