"""Constants that the first batch of a run decides for good, such as the mean of a score."""

from __future__ import annotations

from torch import nn


class Decided(nn.Module):
    """A module with buffers that are 0 until the first batch."""

    def __init__(self) -> None:
        super().__init__()
        self._decided: set[str] = set()

    def decided(self, name: str) -> bool:
        """Whether every number of this buffer is decided. Once it is, nobody looks again: the host would wait at each step."""
        if name not in self._decided and bool(getattr(self, name).all()):
            self._decided.add(name)
        return name in self._decided

    def decide_anew(self) -> None:
        """For another run with the same object, whose buffers are 0 again."""
        self._decided.clear()
