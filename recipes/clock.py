"""This module limits the time of one call: shortly before the end, work is interrupted as by Ctrl-C, and its state is kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import TracebackType

from robustfeat.runtime.progress import duration

RESERVE = (
    25.0  # seconds for a measurement that goes on, the checkpoint, half-precision weights and the files to take along
)
SHARE = 0.25  # of a call that is hardly longer than that


class Clock:
    """Sends SIGINT once, inside the context, when only the reserve of the time is left; raises at the entry if that has passed.

    Training then saves a checkpoint and raises a KeyboardInterrupt; an evaluation has its finished batches on the disk.

    Args:
        seconds: the time of the whole call.
        begin: the start of the call, by time.monotonic().

    Raises:
        ValueError: if `seconds` is not greater than 0.
    """

    def __init__(self, seconds: float, begin: float) -> None:
        if not seconds > 0:
            raise ValueError(f"the minutes of a call must be greater than 0, got {seconds / 60:g}")
        self.seconds, self.begin = seconds, begin

    @property
    def spent(self) -> float:
        """The seconds since the start of the call."""
        return time.monotonic() - self.begin

    def __str__(self) -> str:
        return f"{duration(self.spent)} of {duration(self.seconds)}"

    def __enter__(self) -> Clock:
        left = self.seconds - min(RESERVE, SHARE * self.seconds) - self.spent
        if left <= 0:
            raise KeyboardInterrupt("there was no time to begin")
        # In the background of a shell SIGINT is ignored, and Python leaves it so.
        self._before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self._timer = threading.Timer(left, os.kill, (os.getpid(), signal.SIGINT))
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        signal.signal(signal.SIGINT, self._before)
