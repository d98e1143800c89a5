"""The vocabulary of the library: what images, features, losses and results are.

Images are float32 RGB of shape (n, c, h, w) with values in [0, 1], never normalised; eps is in the same units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

Images = Float[Tensor, "n c h w"]
Points = Float[Tensor, "n ..."]
"""Images for an attack, which asks for no shape but that of a batch."""
Features = Float[Tensor, "n d"]
Embeddings = Float[Tensor, "n e"]
Logits = Float[Tensor, "n k"]
Labels = Int[Tensor, " n"]
PerExample = Float[Tensor, " n"]

Loss = Callable[[Images], PerExample]
"""What an attack makes larger: images -> one number per image."""


class Eps(float):
    """A perturbation size in pixel units of [0, 1] that reads and prints as a fraction of 255.

    >>> Eps("8/255")
    8/255
    >>> Eps(0.5)
    0.5
    """

    def __new__(cls, value: str | float) -> Eps:
        try:
            number = float(Fraction(value.replace(" ", "")) if isinstance(value, str) and "/" in value else value)
        except (ValueError, TypeError, OverflowError, ZeroDivisionError):
            raise ValueError(f"eps {value!r} is not a number; write a fraction like '8/255' or a decimal") from None
        if not 0 < number < float("inf"):
            raise ValueError(f"eps must be a positive number in pixel units of [0, 1], got {value!r}; try '8/255'")
        return super().__new__(cls, number)

    def __repr__(self) -> str:
        steps = round(min(float(self), 1.0) * 255)
        if 0 < steps < 255 and float(self) == steps / 255:
            return f"{steps}/255"
        return float.__repr__(self)

    __str__ = __repr__


def usual_eps(norm: str) -> Eps:
    """The size that CIFAR-10 robustness is usually reported at: 8/255 in linf, 128/255 in l2 (RobustBench)."""
    sizes = {"linf": Eps("8/255"), "l2": Eps("128/255")}
    if norm not in sizes:
        raise ValueError(f"norm must be 'linf' or 'l2', got {norm!r}")
    return sizes[norm]


class Output(NamedTuple):
    """What a network says about images: pooled penultimate features (n, d) and class logits (n, k)."""

    features: Tensor
    logits: Tensor


class Losses(NamedTuple):
    """What an objective returns: `terms` are weighted scalars whose sum is lowered; `notes` are detached and only logged."""

    terms: dict[str, Tensor]
    notes: dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Images in [0, 1] with their labels (None where the data has none) and their row numbers in the data set."""

    images: Tensor
    labels: Tensor | None
    rows: Tensor

    def to(self, device: torch.device | str, memory_format: torch.memory_format = torch.preserve_format) -> Batch:
        """The same batch on another device."""
        labels = None if self.labels is None else self.labels.to(device)
        return Batch(self.images.to(device, memory_format=memory_format), labels, self.rows.to(device))

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Row:
    """One measured number: `value` in [low, high] (95 %) over `n` examples; attack "none" is the clean row."""

    task: str
    metric: str
    attack: str
    value: float
    low: float
    high: float
    n: int
    seconds: float
