"""Checks of values, looked at one by one or together: each look makes the host wait for the device that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor


class Pending:
    """Checks that wait to be looked at together."""

    def __init__(self) -> None:
        self._checks: list[tuple[Tensor, Callable[[], Exception]]] = []

    def add(self, bad: Tensor, error: Callable[[], Exception]) -> None:
        """Defer the check of `bad`, one bool: where it turns out to be true, error() is the error."""
        self._checks.append((bad, error))

    def first(self) -> Exception | None:
        """The error of the first check that failed, None where all passed. All checks are removed."""
        checks, self._checks = self._checks, []
        if not checks:
            return None
        failed = torch.stack([bad for bad, _ in checks]).tolist()
        return next((error() for (_, error), bad in zip(checks, failed, strict=True) if bad), None)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Inside, what is refused waits here."""
        token = _gathering.set(self)
        try:
            yield
        finally:
            _gathering.reset(token)


_gathering: ContextVar[Pending | None] = ContextVar("_gathering", default=None)


def refuse(bad: Tensor, error: Callable[[], Exception]) -> None:
    """Raise error() where `bad`, one bool, is true: at once, or when the checks that are being gathered are looked at."""
    pending = _gathering.get()
    if pending is not None:
        pending.add(bad, error)
    elif bool(bad):
        raise error()


@contextmanager
def together() -> Iterator[None]:
    """Checks inside are looked at when it ends; by those who gather already, when they look."""
    if _gathering.get() is not None:
        yield
        return
    pending = Pending()
    with pending.gathering():
        yield
    if (error := pending.first()) is not None:
        raise error
