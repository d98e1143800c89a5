"""Split expressions: "test", "train[:90%]", "train[90%:]", "train[100:200]"."""

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
    """A named split and the part of it that is meant."""

    name: str
    low: str | None
    high: str | None

    def rows(self, n: int, labels: Labels | None = None) -> Tensor:
        """Row numbers of the part, ascending, of a split with n rows. Raises ValueError where nothing is left.

        Rows are counted in data order, except where the labels say that the data comes class by class, as in folders of
        images: there every part gets its share of each class.
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
    """Read a split expression.

    >>> parse_split("train[90%:]").rows(200)[:2]
    tensor([180, 181])
    """
    match = _PATTERN.match(text.strip())
    if match is None:
        raise ValueError(
            f"split {text!r} is not understood; write for example 'test', 'train[:90%]' or 'train[100:200]'"
        )
    return Split(match["name"], match["low"], match["high"])


def no_splits(source: str, split: str) -> UnknownNameError:
    """The error for another split than "train" of data that has none: the same rows must not be called train and test."""
    return UnknownNameError(
        f"{source!r} has no splits, so it is all 'train' and has no {split!r}; cut it, into 'train[:80%]' and 'train[80%:]' say"
    )


def class_by_class(labels: Labels) -> bool:
    """Whether each class is one block of rows, some of them longer than one.

    >>> class_by_class(torch.tensor([0, 0, 1, 1])), class_by_class(torch.tensor([0, 1, 0, 1]))
    (True, False)
    """
    classes, blocks = len(labels.unique()), len(labels.unique_consecutive())
    return 1 < classes == blocks < len(labels)


def mixed_order(labels: Labels) -> Tensor:
    """A fixed order of the rows in which any stretch holds each class in its proportion (as closely as numbers allow)."""
    place = torch.empty(len(labels), dtype=torch.float64)
    random = generator(0)
    for label in labels.unique().tolist():
        rows = (labels == label).nonzero().squeeze(1)
        place[rows[torch.randperm(len(rows), generator=random)]] = (torch.arange(len(rows)).double() + 0.5) / len(rows)
    return place.argsort(stable=True)
