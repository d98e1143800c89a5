"""One number of a report, and the attack that it was measured under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from robustfeat.numerics.eps import Eps
from robustfeat.report.title import Title

CLEAN = "none"
"""What stands for the attack of a row that was measured on the images as they are."""


class Sized(NamedTuple):
    """An attack by its name in a report, at one size: in pixel units, None where that is not known."""

    attack: str
    eps: Eps | None = None


@dataclass(frozen=True)
class Row:
    """One measured number: `value` in [low, high] (95 %) over `n` examples.

    attack: its name in the report; "none" is the clean row.  eps: the size it was run at, in pixel units; None for the clean row,
        and where an old file does not say it.
    column: which cases the attacker controlled, as the task calls them; "" is the headline, all that he can.
    """

    task: Title
    metric: str
    attack: str
    eps: Eps | None
    column: str
    value: float
    low: float
    high: float
    n: int
    seconds: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", Title.read(self.task))
        object.__setattr__(self, "eps", None if self.eps is None else Eps(self.eps))

    @property
    def sized(self) -> Sized:
        """The attack with its size."""
        return Sized(self.attack, self.eps)
