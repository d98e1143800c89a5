"""Progress of long work, always on stderr: a bar with ETA on a terminal, otherwise plain lines from time to time."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

LINE_SECONDS = 20.0


class Progress:
    """Counts units of work. Use it as a context manager, and call `advance` after each piece of work.

    Args:
        label: the name of the work.
        total: number of units in all; None if unknown (a fraction in [0, 1] may be set by `at`).
        unit: name of the units.
        quiet: show nothing.
    """

    def __init__(self, label: str, total: float | None, unit: str = "images", *, quiet: bool = False) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self._skipped = 0.0  # done before this session
        self._start = self._last_line = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._quiet = quiet
        self._bar: tqdm | None = None
        if self._terminal and not quiet:
            form = "{desc}: {percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} {unit} [{elapsed} < {remaining}]{postfix}"
            self._bar = tqdm(total=total, desc=label, unit=unit, bar_format=form, leave=False, dynamic_ncols=True)

    def advance(self, amount: float, note: str = "") -> None:
        """Report that `amount` more units are done."""
        self.at(self.done + amount, note)

    def begin_at(self, done: float) -> None:
        """Report how much an earlier session has done, which does not count for the speed."""
        self._skipped = self.done = done
        if self._bar is not None:
            self._bar.initial = self._bar.n = done

    def at(self, done: float, note: str = "") -> None:
        """Report how many units are done."""
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self.done)
        self.done = done
        if self._bar is None and not self._quiet and time.monotonic() - self._last_line > LINE_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"{self.label}: {self._status()}{'  ' + note if note else ''}")

    def _status(self) -> str:
        spent = time.monotonic() - self._start
        if not self.total:
            return f"{self.done:.0f} {self.unit}, {duration(spent)}"
        left = spent * (self.total - self.done) / max(self.done - self._skipped, 1e-9)
        return f"{self.done:.0f}/{self.total:.0f} {self.unit}, {duration(spent)} gone, {duration(left)} left"

    def say(self, text: str) -> None:
        """Print a separate line above the bar."""
        if not self._quiet:
            tqdm.write(text, file=sys.stderr)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """Return seconds in a readable form.

    >>> duration(3725)
    '1h02m'
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
