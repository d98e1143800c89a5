"""What a check of an attack says when it fails."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """A check that failed: what was found, what would have been right, and what it means."""

    check: str
    value: float
    limit: float
    text: str
