"""The share of the rows of a data set that one of several machines computes."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """Part `number` of `of` parts: contiguous rows, so that the parts one after another are the whole in order.

    Args:
        number: which part, in 1..of.
        of: the number of parts.

    Raises:
        ValueError: if there is no such part.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"shard {self} is none of 1/{self.of} to {self.of}/{self.of}; count from 1")

    def __str__(self) -> str:
        """Return for example "2/8", which `parse` takes."""
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "2/8", the second of eight parts.

        Raises:
            ValueError: for any other text, and if there is no such part.
        """
        if not (found := re.fullmatch(r"(\d+)/([1-9]\d*)", text)):
            raise ValueError(f"shard must be i/n, such as 2/8 for the second of eight parts, got {text!r}")
        return cls(int(found[1]), int(found[2]))

    def rows(self, n: int) -> range:
        """Return the rows of this part of n rows; the sizes of the parts differ by at most one row."""
        return range(n * (self.number - 1) // self.of, n * self.number // self.of)

    @property
    def file_name(self) -> str:
        """The name of its file, such as part-2-of-8.parquet or part-02-of-10.parquet: sorted by name, parts are in order."""
        return f"part-{self.number:0{len(str(self.of))}}-of-{self.of}.parquet"


WHOLE = Shard(1, 1)
