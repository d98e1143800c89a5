"""The types of the library: images, features, logits and losses.

Images are float32 RGB of shape (n, c, h, w) with values in [0, 1], never normalised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Images = Float[Tensor, "n c h w"]
Points = Float[Tensor, "n ..."]
"""Images for an attack, which requires only that the first dimension is the batch."""
Features = Float[Tensor, "n d"]
Embeddings = Float[Tensor, "n e"]
Logits = Float[Tensor, "n k"]
Labels = Int[Tensor, " n"]
PerExample = Float[Tensor, " n"]

Loss = Callable[[Images], PerExample]
"""The function that an attack raises: images -> one number per image."""


@runtime_checkable
class InnerAttack(Protocol):
    """An attack that makes the images for adversarial training; every `Attack` is one."""

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images: ...


class Output(NamedTuple):
    """The output of a network for images.

    Args:
        features: pooled penultimate features (n, d).
        logits: class logits (n, k).
    """

    features: Tensor
    logits: Tensor


class Losses(NamedTuple):
    """The output of an objective.

    Args:
        terms: weighted scalars whose sum is minimised.
        notes: detached scalars that are only logged.
    """

    terms: dict[str, Tensor]
    notes: dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Images with their labels and row numbers.

    Args:
        images: in [0, 1].
        labels: None where the data has none.
        rows: row numbers in the data set.
    """

    images: Tensor
    labels: Tensor | None
    rows: Tensor

    def to(self, device: torch.device | str, memory_format: torch.memory_format = torch.preserve_format) -> Batch:
        """Return the same batch on another device."""
        labels = None if self.labels is None else self.labels.to(device)
        return Batch(self.images.to(device, memory_format=memory_format), labels, self.rows.to(device))

    def __len__(self) -> int:
        return len(self.images)
