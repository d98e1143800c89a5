"""Learning rate and attack strength as functions of the progress of a run, from 0 to 1, measured in steps or in minutes."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float, float], float]


def cosine(progress: float, warmup: float) -> float:
    """Return a factor that rises linearly, then falls to 0 along half a cosine."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def onecycle(progress: float, warmup: float) -> float:
    """Return a factor that rises, then falls to 0, both linearly (fast adversarial training, Wong et al. 2020)."""
    return progress / warmup if progress < warmup else (1 - progress) / (1 - warmup)


def multistep(progress: float, warmup: float) -> float:
    """Return a factor that rises linearly, then drops to a tenth after 1/2 and 3/4 of the run (100 and 150 of 200 epochs)."""
    rise = min(1.0, progress / warmup) if warmup else 1.0
    return rise * 0.1 ** ((progress >= 0.5) + (progress >= 0.75))


def constant(progress: float, warmup: float) -> float:
    """Return a factor that rises linearly, then stays constant."""
    return min(1.0, progress / warmup) if warmup else 1.0


SCHEDULES: dict[str, Schedule] = {"cosine": cosine, "onecycle": onecycle, "multistep": multistep, "constant": constant}


def strength(progress: float, warmup: float) -> float:
    """Return the share of eps that the inner attack uses; it rises linearly over the share `warmup` of the run."""
    return min(1.0, progress / warmup) if warmup else 1.0
