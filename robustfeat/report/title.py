"""This module defines the title of a task in a report: its registered name, an argument, and a number if it is repeated."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Self


class Title(str):
    """The title of a task, a string such as "anomaly:gmm-2" that keeps its parts.

    Args:
        name: the registered name, "anomaly".
        argument: the part after the colon, "gmm"; empty for a task without an argument.
        repetition: 1 for the first task of this name and argument in a report.

    >>> Title("anomaly", "gmm", 2)
    'anomaly:gmm-2'
    """

    __slots__ = ("argument", "name", "repetition")
    name: str
    argument: str
    repetition: int

    def __new__(cls, name: str, argument: str = "", repetition: int = 1) -> Self:
        text = f"{name}:{argument}" if argument else name
        title = super().__new__(cls, text if repetition == 1 else f"{text}-{repetition}")
        title.name, title.argument, title.repetition = name, argument, repetition
        return title

    def __getnewargs__(self) -> tuple[str, str, int]:  # type: ignore[override]  # copies are made of the parts
        return self.name, self.argument, self.repetition

    @classmethod
    def read(cls, text: str, among: Collection[str] = ()) -> Self:
        """Parse the text of a title.

        Args:
            text: the text, or a title, which is returned as it is.
            among: the other titles of the report: "probe-2" is a repetition if there is a "probe".

        >>> title = Title.read("anomaly:gmm-2", among=["anomaly:gmm"])
        >>> title.name, title.argument, title.repetition
        ('anomaly', 'gmm', 2)
        """
        if isinstance(text, cls):
            return text
        first, _, number = text.rpartition("-")
        repeated = first in among and number.isdecimal() and int(number) > 1
        name, _, argument = (first if repeated else text).partition(":")
        return cls(name, argument, int(number) if repeated else 1)


def titled(texts: Iterable[str]) -> list[Title]:
    """Return unique titles for tasks that are given by their single titles: the second "probe" becomes "probe-2".

    >>> titled(["probe", "head", "probe"])
    ['probe', 'head', 'probe-2']
    """
    found: list[Title] = []
    for text in texts:
        title = Title.read(text)
        while title in found:
            title = Title(title.name, title.argument, title.repetition + 1)
        found.append(title)
    return found
