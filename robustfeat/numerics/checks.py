"""Checks of values, evaluated one by one or together: each evaluation makes the host wait for the device that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor


class Pending:
    """Checks that are deferred, to be evaluated together."""

    def __init__(self) -> None:
        self._checks: list[tuple[Tensor, Callable[[], Exception]]] = []

    def add(self, bad: Tensor, error: Callable[[], Exception]) -> None:
        """Defer a check.

        Args:
            bad: one bool; true if the check fails.
            error: makes the error of the failed check.
        """
        self._checks.append((bad, error))

    def first(self) -> Exception | None:
        """Return the error of the first check that failed, None if all passed. All checks are removed."""
        checks, self._checks = self._checks, []
        if not checks:
            return None
        failed = torch.stack([bad for bad, _ in checks]).tolist()
        return next((error() for (_, error), bad in zip(checks, failed, strict=True) if bad), None)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Collect here the checks that `refuse` makes inside the context."""
        token = _gathering.set(self)
        try:
            yield
        finally:
            _gathering.reset(token)


_gathering: ContextVar[Pending | None] = ContextVar("_gathering", default=None)


def refuse(bad: Tensor, error: Callable[[], Exception]) -> None:
    """Raise error() if `bad`, one bool, is true: at once, or when the checks that are being collected are evaluated."""
    pending = _gathering.get()
    if pending is not None:
        pending.add(bad, error)
    elif bool(bad):
        raise error()


@contextmanager
def together() -> Iterator[None]:
    """Evaluate the checks made inside the context together when it ends, or with those that an outer context collects."""
    if _gathering.get() is not None:
        yield
        return
    pending = Pending()
    with pending.gathering():
        yield
    if (error := pending.first()) is not None:
        raise error
