"""What a task is called in a report: its registered name, an argument, and which of several of that kind it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Self


class Title(str):
    """A task's title, which prints as "anomaly:gmm-2" and has what that is made of.

    name: as registered, "anomaly".  argument: after the colon, "gmm"; empty for a task that has none.
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
        """The inverse of `str`. among: the titles beside it: "probe-2" is a repetition where there is a "probe".

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
    """Titles that differ, of tasks by what each is called alone: the second "probe" becomes "probe-2".

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
