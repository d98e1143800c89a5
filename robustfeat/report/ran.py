"""This module describes the run of an attack in an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from robustfeat.attacks.flag import Flag
from robustfeat.numerics.eps import Eps
from robustfeat.report.row import Sized
from robustfeat.report.title import Title


@dataclass(frozen=True)
class Ran:
    """The run of one attack on one task: its configuration, its cost, and the signs that it may have failed.

    Args:
        task: the title of the task.
        metric: the metric that the attack targeted; "" is the whole task.
        attack: the name of the attack, as in the rows.
        eps: the size of the perturbation, as in the rows.
        configuration: the attack with all its settings.
        forwards: images through the model forward.
        backwards: images through the model backward.
        zero_gradients: the largest share of zero gradients in a step.
        rising: the share of the gain in the last quarter of the steps.
        seconds: the time of the attack.
        flags: the health checks that failed.
        examined: cases that the health checks were run on.
        checked_seconds: the time of the health checks.
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
        """The task, and the metric if the attack targeted one."""
        return f"{self.task} {self.metric}".rstrip()
