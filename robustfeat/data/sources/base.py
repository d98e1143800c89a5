"""What a source of images is, and which one a name belongs to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from robustfeat.data.memory import MemoryImages
from robustfeat.data.sources import SOURCES
from robustfeat.data.table import Table
from robustfeat.runtime.registry import unknown

PATHS = (".", "/", "~")  # how a name begins that can be nothing but a path

Opened = Table | MemoryImages
"""A whole split: rows that become images when they are read, or images as they are."""


class Source(ABC):
    """Takes names of data sets and opens their splits; `dataset` cuts out the part that is meant and brings it to size.

    A source is registered with `@SOURCES.register(name)` and takes this name, unless it says in `takes` which ones it takes.
    `robustfeat.testing.check_source` tests one.
    """

    name: ClassVar[str]
    breadth: ClassVar[int] = 0
    """How much it takes: a name that several sources take belongs to the one with the least. 0 is single names, 1 a layout of
    files, 2 and more what is left of the files, and the Hub."""
    label: ClassVar[str | None] = None
    """The label column, where tables of this source have several and none is named."""

    def takes(self, name: str) -> bool:
        """Whether this source knows data of that name, which may be a path; without reading any of it."""
        return name == self.name

    @abstractmethod
    def open(self, name: str, split: str) -> Opened:
        """A whole split by its name alone ("train", never "train[:90%]"), its rows in a fixed order.

        Raises UnknownNameError for a split that is not there, ValueError for data that cannot be read.
        """


def source_of(name: str) -> Source:
    """The source that takes a name.

    Raises FileNotFoundError for a path to nothing, UnknownNameError with the nearest single name for all else.
    """
    sources = sorted((SOURCES[key]() for key in SOURCES), key=lambda source: source.breadth)
    for source in sources:
        if source.takes(name):
            return source
    if name.startswith(PATHS) or name.endswith(".parquet"):
        raise FileNotFoundError(f"no such file or folder: {name!r}")
    raise unknown("data set", name, [source.name for source in sources if source.takes(source.name)])
