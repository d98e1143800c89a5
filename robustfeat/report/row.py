"""This module defines one number of a report and the attack under which it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from robustfeat.numerics.eps import Eps
from robustfeat.report.title import Title

CLEAN = "none"
"""The name of the attack in rows that were measured on the original images."""


class Sized(NamedTuple):
    """An attack at one size.

    Args:
        attack: its name in a report.
        eps: its size in pixel units; None if not recorded.
    """

    attack: str
    eps: Eps | None = None


@dataclass(frozen=True)
class Under:
    """A metric of a task under an attack: where a row and the run behind it stand.

    Args:
        task: the title of the task.
        metric: the name of the metric.
        attack: the name of the attack in the report; "none" is the clean row.
        eps: the size of the perturbation in pixel units; None for the clean row, and if an old file does not record it.
    """

    task: Title
    metric: str
    attack: str
    eps: Eps | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", Title.read(self.task))
        object.__setattr__(self, "eps", None if self.eps is None else Eps(self.eps))

    @property
    def sized(self) -> Sized:
        """The attack with its size."""
        return Sized(self.attack, self.eps)


@dataclass(frozen=True)
class Row(Under):
    """One measured number: `value` in [low, high] (95 %) over `n` examples; its first arguments are those of `Under`.

    Args:
        column: the cases that the attacker controlled, as named by the task; "" is the headline, all possible cases.
        value: the measured value.
        low: the lower end of the 95 % interval.
        high: the upper end of the 95 % interval.
        n: the number of examples.
        seconds: the time of the measurement.
    """

    column: str
    value: float
    low: float
    high: float
    n: int
    seconds: float
