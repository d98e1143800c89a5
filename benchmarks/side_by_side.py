"""Time two functions in turns, so that a machine whose speed drifts treats both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def ratio(
    one: Callable[[], object], other: Callable[[], object], rounds: int = 15, warmup: int = 2
) -> tuple[float, float, float]:
    """Median seconds of each, and the median of one / other, pair by pair."""
    pairs = []
    for i in range(warmup + rounds):
        first, second = (one, other) if i % 2 == 0 else (other, one)
        times = []
        for function in (first, second):
            begin = time.perf_counter()
            function()
            times.append(time.perf_counter() - begin)
        if i >= warmup:
            pairs.append(tuple(times) if i % 2 == 0 else tuple(reversed(times)))
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    return a, b, statistics.median(x / y for x, y in pairs)
