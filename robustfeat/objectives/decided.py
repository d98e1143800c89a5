"""Constants that are set from the first batch of a run and then fixed, such as the mean of a score."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Decided(nn.Module):
    """A module with buffers that are 0 until the first batch sets them."""

    def __init__(self) -> None:
        super().__init__()
        self._decided: set[str] = set()

    def decided(self, name: str) -> bool:
        """Return whether all values of this buffer are set, here or by a checkpoint; then no later call waits for the device."""
        if name not in self._decided and bool(getattr(self, name).all()):
            self._decided.add(name)
        return name in self._decided

    @torch.no_grad()
    def decide(self, name: str, value: Tensor) -> None:
        """Set a buffer permanently."""
        getattr(self, name).copy_(value)
        self._decided.add(name)

    def decide_anew(self) -> None:
        """Forget the set buffers, for another run with the same object, whose buffers are 0 again."""
        self._decided.clear()
