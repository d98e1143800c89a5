"""Split expressions: "test", "train[:90%]", "train[90%:]", "train[100:200]"."""

from __future__ import annotations

import re
from typing import NamedTuple

_PATTERN = re.compile(r"^(?P<name>[\w.\-]+)(\[(?P<low>\d+%?)?:(?P<high>\d+%?)?\])?$")


class Split(NamedTuple):
    """A named split and the part of it that is meant."""

    name: str
    low: str | None
    high: str | None

    def rows(self, n: int) -> range:
        """Row numbers of the part, of a split with n rows. Raises ValueError where nothing is left."""

        def position(text: str | None, default: int) -> int:
            if text is None:
                return default
            return round(n * int(text[:-1]) / 100) if text.endswith("%") else int(text)

        low, high = position(self.low, 0), min(position(self.high, n), n)
        if low >= high:
            raise ValueError(f"split {self!s} of {n} rows is empty")
        return range(low, high)

    def __str__(self) -> str:
        return f"{self.name}[{self.low or ''}:{self.high or ''}]" if self.low or self.high else self.name


def parse_split(text: str) -> Split:
    """Read a split expression.

    >>> parse_split("train[90%:]").rows(200)
    range(180, 200)
    """
    match = _PATTERN.match(text.strip())
    if match is None:
        raise ValueError(
            f"split {text!r} is not understood; write for example 'test', 'train[:90%]' or 'train[100:200]'"
        )
    return Split(match["name"], match["low"], match["high"])
