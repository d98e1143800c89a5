"""Range checks for the numeric options of methods."""

from __future__ import annotations


def positive(**options: float) -> None:
    """Raise ValueError for the first of these options that is not greater than 0; NaN is not."""
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"{name} must be greater than 0, got {value!r}")


def not_negative(**options: float) -> None:
    """Raise ValueError for the first of these options that is less than 0 or NaN."""
    for name, value in options.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value!r}")


def share(**options: float) -> None:
    """Raise ValueError for the first of these options that is not in [0, 1]."""
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {value!r}")


def below_one(**options: float) -> None:
    """Raise ValueError for the first of these options that is not in [0, 1)."""
    for name, value in options.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value!r}")
