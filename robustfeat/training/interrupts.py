"""Ctrl-C and SIGTERM as a flag that a long computation checks between two steps, so that it can save before it ends."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

ANSWER = b"\ninterrupted: this step is finished and saved first; once more ends at once, and loses what is not saved\n"


class Interrupts:
    """Context manager in which the first SIGINT or SIGTERM sets `pending` and the second one interrupts immediately.

    The first one is acknowledged on stderr at once, as the step that must end before anything is saved may take long.

    Args:
        quiet: whether to acknowledge nothing.

    Attributes:
        pending: whether a signal has arrived.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.pending, self.quiet = False, quiet
        self._before: dict[int, object] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True
        if not self.quiet:
            os.write(2, ANSWER)  # a print may be what the signal has interrupted

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
