"""What an attack is: the threat it stays within, the loss it raises, and the promise about what it returns."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from robustfeat.registry import Registry
from robustfeat.types import Eps, Images, Loss, PerExample, usual_eps

ATTACKS: Registry[Attack] = Registry("attack")


@dataclass(frozen=True)
class Threat:
    """All images within `eps` of the original, in the given norm and in [0, 1].

    norm: "linf" or "l2", over all pixels and channels of an image.
    eps: in pixel units of [0, 1], such as Eps("8/255"); None takes what is usual for the norm (`usual_eps`).
    """

    norm: Literal["linf", "l2"] = "linf"
    eps: float = None  # type: ignore[assignment]  # never None once constructed

    def __post_init__(self) -> None:
        usual = usual_eps(self.norm)
        object.__setattr__(self, "eps", usual if self.eps is None else Eps(self.eps))

    def project(self, images: Images, origin: Images) -> Images:
        """The nearest point of the ball around `origin`, then of [0, 1]; the second step can not leave the ball."""
        delta = images - origin
        if self.norm == "linf":
            return (origin + delta.clamp(-self.eps, self.eps)).clamp(0, 1)
        return (origin + delta * (self.eps / _l2(delta)).clamp(max=1)).clamp(0, 1)

    def steepest(self, gradient: Images) -> Images:
        """The direction of norm 1 along which a linear function with this gradient rises fastest."""
        if self.norm == "linf":
            return gradient.sign()
        return gradient / _l2(gradient)

    def sample(self, images: Images, generator: torch.Generator | None) -> Images:
        """Uniform noise in the ball added to `images`, kept in [0, 1]. Without a generator, torch's global one is used."""
        device = images.device if generator is None else generator.device
        if self.norm == "linf":
            noise = torch.rand(images.shape, generator=generator, device=device).mul_(2).sub_(1)
        else:
            noise = torch.randn(images.shape, generator=generator, device=device)
            radius = torch.rand(len(images), generator=generator, device=device) ** (1 / max(1, images[0].numel()))
            noise = noise / _l2(noise) * radius.view(-1, 1, 1, 1)
        return (images + self.eps * noise.to(images)).clamp(0, 1)

    def __str__(self) -> str:
        return f"{self.norm} {self.eps}"


def _l2(x: Tensor) -> Tensor:
    """Norm of each image, (n, 1, 1, 1), never 0."""
    return x.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, *[1] * (x.ndim - 1))


@dataclass(frozen=True)
class Attack(ABC):
    """Raises a per-example loss within a threat. A value: its repr is its configuration."""

    name: ClassVar[str]
    threat: Threat = field(default_factory=Threat)

    @abstractmethod
    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images:
        """Adversarial images for `images` (n, c, h, w) in [0, 1], detached.

        loss: differentiable, images -> (n,), grows as the attacker wins. The model behind it is used as it is: put it in
        eval mode. Per example the worst point seen is returned, never one with a lower loss than the clean image,
        unless the attack says otherwise. Raises RuntimeError where no gradient reaches the images.
        """


def value_and_gradient(loss: Loss, images: Images) -> tuple[PerExample, Images]:
    """loss(images), detached, and the gradient of its sum; complains where the gradient is cut off."""
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        values = loss(images)
        if values.shape != images.shape[:1]:
            raise ValueError(
                f"the loss must return one value per image, shape ({len(images)},), got {tuple(values.shape)}"
            )
        if not values.requires_grad:
            raise RuntimeError(
                "the loss has no gradient: something between images and loss is detached (no_grad, inference_mode, .data, numpy)"
            )
        (gradient,) = torch.autograd.grad(values.sum(), images, allow_unused=True)
    if gradient is None:
        raise RuntimeError("the loss does not depend on the images")
    return values.detach(), gradient


def warn_if_flat(gradient: Images) -> None:
    """A start where no image has a gradient (the loss is at its minimum there, or saturated) makes an attack do nothing."""
    if len(gradient) and not gradient.any():
        warnings.warn(
            "the loss is flat at the clean images, so that this attack leaves them unchanged; use PGD with start='random'",
            RuntimeWarning,
            stacklevel=3,
        )


class Strongest:
    """Per example, the point with the largest loss among those offered."""

    def __init__(self, images: Images, values: PerExample) -> None:
        self.images, self.values = images.clone(), values.clone()

    def offer(self, images: Images, values: PerExample) -> None:
        """Keep `images` where their loss is larger; NaN never wins."""
        better = values > self.values
        self.images[better] = images[better]
        self.values[better] = values[better]
