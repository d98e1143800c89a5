"""A flag: the result of a health check that found a fault in an attack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """The result of a health check that failed.

    Args:
        check: name of the check.
        value: the value that was found.
        limit: the value that would have been right, or its bound.
        text: the meaning of the value.
    """

    check: str
    value: float
    limit: float
    text: str
