"""Two functions in turns, so that a machine whose speed drifts treats both alike; and the memory that one takes."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def ratio(
    one: Callable[[], object],
    other: Callable[[], object],
    rounds: int = 15,
    warmup: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float, float]:
    """Median seconds of each, and the median of one / other, pair by pair; by the clock of the wall, or of the process."""
    pairs = []
    for i in range(warmup + rounds):
        first, second = (one, other) if i % 2 == 0 else (other, one)
        times = []
        for function in (first, second):
            begin = clock()
            function()
            times.append(clock() - begin)
        if i >= warmup:
            pairs.append(tuple(times) if i % 2 == 0 else tuple(reversed(times)))
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    return a, b, statistics.median(x / y for x, y in pairs)


def peak_memory(function: Callable[..., object], setup: Callable[[], tuple[Any, ...]]) -> float:
    """MiB that function(*setup()) takes above what there was before it, in a process of its own; both are module functions."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_peak, args=(function, setup, queue))
    process.start()
    found = queue.get()
    process.join()
    return found


def _peak(function: Callable[..., object], setup: Callable[[], tuple[Any, ...]], queue: Any) -> None:
    parts = setup()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _resident("VmRSS")
    function(*parts)
    queue.put(_resident("VmHWM") - before)


def _resident(field: str) -> float:
    """MiB of a field of /proc/self/status: VmRSS is now, VmHWM the peak since it was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024
