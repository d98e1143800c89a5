"""This module defines the interface of image sources and selects the source of a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from robustfeat.data.memory import MemoryImages
from robustfeat.data.sources import SOURCES
from robustfeat.data.table import Table
from robustfeat.runtime.registry import unknown

PATHS = (".", "/", "~")  # how a name begins that can be nothing but a path

Opened = Table | MemoryImages
"""A whole split: a table whose rows are decoded when they are read, or images in memory."""


class Source(ABC):
    """A source opens whole splits of the data sets that it accepts; `dataset` selects a part and brings the images to size.

    A source is registered with `@SOURCES.register(name)` and accepts this name, unless it overrides `takes`.
    `robustfeat.testing.check_source` tests a source.
    """

    name: ClassVar[str]
    breadth: ClassVar[int] = 0
    """How general the source is: a name that several sources accept belongs to the one with the smallest breadth.

    0 is for single names, 1 for a layout of files, 2 and more for all other files and for the Hub.
    """
    label: ClassVar[str | None] = None
    """The label column to use if tables of this source have several and none is named."""

    def takes(self, name: str) -> bool:
        """Return whether this source accepts a name, which may be a path; no data is read."""
        return name == self.name

    @abstractmethod
    def open(self, name: str, split: str) -> Opened:
        """Return a whole split with its rows in a fixed order.

        Args:
            name: the name or path of the data set.
            split: the name of the split alone ("train", never "train[:90%]").

        Raises:
            UnknownNameError: if there is no such split.
            ValueError: if the data cannot be read.
        """


def source_of(name: str) -> Source:
    """Return the source that accepts a name.

    Raises:
        FileNotFoundError: for a path that does not exist.
        UnknownNameError: for any other unknown name; the message has the nearest single name.
    """
    sources = sorted((SOURCES[key]() for key in SOURCES), key=lambda source: source.breadth)
    for source in sources:
        if source.takes(name):
            return source
    if name.startswith(PATHS) or name.endswith(".parquet"):
        raise FileNotFoundError(f"no such file or folder: {name!r}")
    raise unknown("data set", name, [source.name for source in sources if source.takes(source.name)])
