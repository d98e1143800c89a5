"""What an attack did in an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from robustfeat.attacks.flag import Flag
from robustfeat.numerics.eps import Eps
from robustfeat.report.row import Sized
from robustfeat.report.title import Title


@dataclass(frozen=True)
class Ran:
    """What one attack on one task did: its configuration, what it took, and the signs that it may have failed.

    metric: which one it aimed at; "" is all of the task.  attack, eps: as in the rows.
    forwards, backwards: images through the model.
    zero_gradients: largest share of zero gradients in a step.  rising: share of the gain in the last quarter of the steps.
    examined: cases that were checked for such signs.  checked_seconds: how long that took.
    """

    task: Title
    metric: str
    attack: str
    eps: Eps | None
    configuration: str
    forwards: int
    backwards: int
    zero_gradients: float
    rising: float
    seconds: float
    flags: tuple[Flag, ...] = ()
    examined: int = 0
    checked_seconds: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", Title.read(self.task))
        object.__setattr__(self, "eps", None if self.eps is None else Eps(self.eps))

    @property
    def sized(self) -> Sized:
        """The attack with its size."""
        return Sized(self.attack, self.eps)

    @property
    def what(self) -> str:
        """The task, and the metric where it aimed at one."""
        return f"{self.task} {self.metric}".rstrip()
