"""One number of a report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured number: `value` in [low, high] (95 %) over `n` examples; attack "none" is the clean row."""

    task: str
    metric: str
    attack: str
    value: float
    low: float
    high: float
    n: int
    seconds: float
