"""Constants that the first batch of a run decides for good, such as the mean of a score."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Decided(nn.Module):
    """A module with buffers that are 0 until the first batch."""

    def __init__(self) -> None:
        super().__init__()
        self._decided: set[str] = set()

    def decided(self, name: str) -> bool:
        """Whether all of this buffer is decided, here or before a checkpoint. Then nobody looks again: each look is a wait."""
        if name not in self._decided and bool(getattr(self, name).all()):
            self._decided.add(name)
        return name in self._decided

    @torch.no_grad()
    def decide(self, name: str, value: Tensor) -> None:
        """Write a buffer for good."""
        getattr(self, name).copy_(value)
        self._decided.add(name)

    def decide_anew(self) -> None:
        """For another run with the same object, whose buffers are 0 again."""
        self._decided.clear()
