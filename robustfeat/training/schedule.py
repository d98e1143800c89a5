"""Learning rate and attack strength as functions of the progress of a run, from 0 to 1: steps or minutes make no difference."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float, float], float]


def cosine(progress: float, warmup: float) -> float:
    """Linear rise, then half a cosine down to 0."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def onecycle(progress: float, warmup: float) -> float:
    """Linear rise, then linear fall to 0 (the cyclic rate of fast adversarial training, Wong et al. 2020)."""
    return progress / warmup if progress < warmup else (1 - progress) / (1 - warmup)


def multistep(progress: float, warmup: float) -> float:
    """Linear rise, then constant with a tenth after 1/2 and after 3/4 of the run (100 and 150 of 200 epochs)."""
    rise = min(1.0, progress / warmup) if warmup else 1.0
    return rise * 0.1 ** ((progress >= 0.5) + (progress >= 0.75))


def constant(progress: float, warmup: float) -> float:
    """Linear rise, then constant."""
    return min(1.0, progress / warmup) if warmup else 1.0


SCHEDULES: dict[str, Schedule] = {"cosine": cosine, "onecycle": onecycle, "multistep": multistep, "constant": constant}


def strength(progress: float, warmup: float) -> float:
    """Share of eps that the inner attack may use: rises linearly over `warmup` of the run."""
    return min(1.0, progress / warmup) if warmup else 1.0
