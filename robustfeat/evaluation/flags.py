"""Health checks of an attack on a task, run on a subset of its cases."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch

from robustfeat.attacks import Attack
from robustfeat.attacks.flag import Flag
from robustfeat.attacks.health import Outcome, affordable, examine
from robustfeat.evaluation.pipeline import Attacked, Pipeline
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, PerExample


class Examined(NamedTuple):
    """The result of the health checks of an attack.

    Args:
        cases: number of cases that were checked; 0 if the checks did not run.
        seconds: duration of the checks.
        flags: signs that the attack failed.
    """

    cases: int
    seconds: float
    flags: tuple[Flag, ...]


def examined_cases(
    pipeline: Pipeline,
    attack: Attack,
    attacked: Attacked,
    wanted: int | None,
    key: tuple[int, ...],
    *,
    name: str,
    quiet: bool,
) -> Examined:
    """Check evenly spread cases for signs that an attack failed.

    Args:
        pipeline: the function of pixels that was attacked.
        attack: the attack that ran.
        attacked: its results on all cases.
        wanted: number of cases; None takes as many as a share of the attack's passes allows (`affordable`).
        key: of the random numbers.
        name: of the progress bar.
        quiet: whether the progress bar is hidden.
    """
    total = len(pipeline.cases.rows)
    count = min(affordable(attacked.effort) if wanted is None else wanted, total)
    if count == 0:
        return Examined(0, 0.0, ())
    begin = time.monotonic()
    some = torch.linspace(0, total - 1, count).long()
    cases = pipeline.cases.take(some)
    aim, device = pipeline.aim, pipeline.extractor.device

    @torch.no_grad()
    def values(features: Features) -> PerExample:
        return aim.decides(features.to(device), cases.targets.to(device), cases.clean.to(device))

    part = Pipeline(pipeline.extractor, aim, pipeline.test, cases)
    everything = slice(0, len(some))
    outcome = Outcome(
        goal=part.goal(everything),
        images=part.images(everything),
        attack=attack,
        clean=values(cases.clean),
        attacked=values(attacked.features[some]),
        effort=attacked.effort,
        generator=generator(*key[:1], Stream.HEALTH, *key[1:], device=device),
    )
    flags = tuple(examine(outcome, name=name, quiet=quiet))
    return Examined(count, time.monotonic() - begin, flags)
