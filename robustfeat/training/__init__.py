"""Training: one loop for all objectives, resumable bit by bit, with heads and weights selected on held-out images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.training.finetune import fine_tune
    from robustfeat.training.hardening import harden
    from robustfeat.training.loop import train

__all__ = ["fine_tune", "harden", "train"]

attach(__name__)
