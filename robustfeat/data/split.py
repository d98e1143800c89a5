"""This module parses split expressions: "test", "train[:90%]", "train[90%:]", "train[100:200]"."""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Labels
from robustfeat.runtime.errors import UnknownNameError

SPLITS = ("train", "test", "validation")
_PATTERN = re.compile(r"^(?P<name>[\w.\-]+)(\[(?P<low>\d+%?)?:(?P<high>\d+%?)?\])?$")


class Split(NamedTuple):
    """A named split and the selected part of it.

    Args:
        name: the name of the split.
        low: where the part begins, a row number or a percentage such as "90%"; None is the beginning.
        high: where the part ends, in the same form; None is the end.
    """

    name: str
    low: str | None
    high: str | None

    def rows(self, n: int, labels: Labels | None = None) -> Tensor:
        """Return the ascending row numbers of the part.

        Rows are counted in data order, unless the labels show that the data is sorted by class, as in folders of images: then
        every part gets its share of each class.

        Args:
            n: the number of rows of the split.
            labels: the labels of all rows (n,), or None.

        Raises:
            ValueError: if the part is empty.
        """

        def position(text: str | None, default: int) -> int:
            if text is None:
                return default
            return round(n * int(text[:-1]) / 100) if text.endswith("%") else int(text)

        low, high = position(self.low, 0), min(position(self.high, n), n)
        if low >= high:
            raise ValueError(f"split {self!s} of {n} rows is empty")
        if labels is None or not class_by_class(labels):
            return torch.arange(low, high)
        return mixed_order(labels)[low:high].sort().values

    def __str__(self) -> str:
        return f"{self.name}[{self.low or ''}:{self.high or ''}]" if self.low or self.high else self.name


def parse_split(text: str) -> Split:
    """Parse a split expression.

    >>> parse_split("train[90%:]").rows(200)[:2]
    tensor([180, 181])

    Raises:
        ValueError: if the expression is not valid.
    """
    match = _PATTERN.match(text.strip())
    if match is None:
        raise ValueError(
            f"split {text!r} is not understood; write for example 'test', 'train[:90%]' or 'train[100:200]'"
        )
    return Split(match["name"], match["low"], match["high"])


def no_splits(source: str, split: str) -> UnknownNameError:
    """Return the error for a split other than "train" of data without splits: train and test must not be the same rows."""
    return UnknownNameError(
        f"{source!r} has no splits, so it is all 'train' and has no {split!r}; cut it, into 'train[:80%]' and 'train[80%:]' say"
    )


def class_by_class(labels: Labels) -> bool:
    """Return whether each class is one block of rows, and some block has more than one row.

    >>> class_by_class(torch.tensor([0, 0, 1, 1])), class_by_class(torch.tensor([0, 1, 0, 1]))
    (True, False)
    """
    classes, blocks = len(labels.unique()), len(labels.unique_consecutive())
    return 1 < classes == blocks < len(labels)


def mixed_order(labels: Labels) -> Tensor:
    """Return a fixed order in which any range of rows holds each class in its proportion (up to rounding)."""
    place = torch.empty(len(labels), dtype=torch.float64)
    random = generator(0)
    for label in labels.unique().tolist():
        rows = (labels == label).nonzero().squeeze(1)
        place[rows[torch.randperm(len(rows), generator=random)]] = (torch.arange(len(rows)).double() + 0.5) / len(rows)
    return place.argsort(stable=True)
