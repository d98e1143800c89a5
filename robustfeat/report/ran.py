"""This module describes the run of an attack in an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from robustfeat.attacks.flag import Flag
from robustfeat.report.row import Under


@dataclass(frozen=True)
class Ran(Under):
    """The run of one attack on one task: its configuration, its cost, and the signs that it may have failed.

    Its first arguments are those of `Under`; a metric "" is the whole task.

    Args:
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

    configuration: str
    forwards: int
    backwards: int
    zero_gradients: float
    rising: float
    seconds: float
    flags: tuple[Flag, ...] = ()
    examined: int = 0
    checked_seconds: float = 0.0

    @property
    def what(self) -> str:
        """The task, and the metric if the attack targeted one."""
        return f"{self.task} {self.metric}".rstrip()
