"""What an attacker may do to an image: a norm, a size, and the geometry of the ball they make."""

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

    norm: "linf" or "l2", over all pixels and channels of an image.
    eps: in pixel units of [0, 1], such as Eps("8/255"); None takes what is usual for the norm (`usual_eps`). At
        most 1 in linf: larger numbers are steps of 1/255 without saying so, and are refused.
    """

    norm: Literal["linf", "l2"] = "linf"
    eps: float = None  # type: ignore[assignment]  # never None once constructed

    def __post_init__(self) -> None:
        usual = usual_eps(self.norm)
        object.__setattr__(self, "eps", usual if self.eps is None else Eps(self.eps))
        check_eps(self.norm, self.eps)

    def times(self, factor: float) -> Threat:
        """The threat with `factor` times its size; in linf, at most all images."""
        size = factor * self.eps
        return replace(self, eps=Eps(min(size, 1.0) if self.norm == "linf" else size))

    def around(self, images: Points, eps: PerExample | None = None) -> Ball:
        """The ball around each image; `eps` (n,) gives each its own size instead of the threat's.

        Raises ValueError for images that are not finite floats in [0, 1] of at least 32 bits, and for sizes that are not
        positive or, in linf, above 1.
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
    """The images that are allowed around each of `origin` (n, ...), for sizes eps (n,)."""

    def __init__(self, norm: Literal["linf", "l2"], origin: Points, eps: PerExample) -> None:
        self.norm, self.origin = norm, origin
        self.eps = eps.view(-1, *[1] * (origin.ndim - 1))

    def take(self, rows: Tensor) -> Ball:
        """The balls around some of the images."""
        return Ball(self.norm, self.origin[rows], self.eps[rows].flatten())

    def project(self, images: Points) -> Points:
        """The nearest point of the ball, then of [0, 1]; the second step cannot leave the ball."""
        delta = images - self.origin
        if self.norm == "linf":
            return (self.origin + torch.minimum(torch.maximum(delta, -self.eps), self.eps)).clamp(0, 1)
        return (self.origin + delta * (self.eps / length(delta)).clamp(max=1)).clamp(0, 1)

    def distance(self, images: Points) -> PerExample:
        """How far images are from the centre, in the norm of the ball, (n,)."""
        delta = (images - self.origin).flatten(1)
        return delta.abs().amax(dim=1) if self.norm == "linf" else delta.norm(dim=1)

    def steepest(self, gradient: Points) -> Points:
        """The direction of norm 1 along which a linear function with this gradient rises fastest."""
        return gradient.sign() if self.norm == "linf" else gradient / length(gradient)

    def sample(self, generator: torch.Generator | None) -> Points:
        """Uniform points of the ball, kept in [0, 1]. Without a generator, torch's global one is used."""
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
    """The l2 norm of each image, (n, 1, ...), never 0."""
    return x.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, *[1] * (x.ndim - 1))
