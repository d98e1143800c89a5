"""The vocabulary of the library: what images, features and losses are.

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
"""Images for an attack, which asks for no shape but that of a batch."""
Features = Float[Tensor, "n d"]
Embeddings = Float[Tensor, "n e"]
Logits = Float[Tensor, "n k"]
Labels = Int[Tensor, " n"]
PerExample = Float[Tensor, " n"]

Loss = Callable[[Images], PerExample]
"""What an attack makes larger: images -> one number per image."""


@runtime_checkable
class InnerAttack(Protocol):
    """Makes the images that are trained on; every `Attack` can."""

    def __call__(self, loss: Loss, images: Images, *, generator: torch.Generator | None = None) -> Images: ...


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
