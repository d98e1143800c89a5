"""A flag: the result of a health check that found a fault in an attack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """A check that failed: what was found, what would have been right, and what it means."""

    check: str
    value: float
    limit: float
    text: str
