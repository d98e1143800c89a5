"""Health checks of an attack on a task, on some of its cases."""

from __future__ import annotations

import torch

from robustfeat.attacks import Attack
from robustfeat.attacks.flag import Flag
from robustfeat.attacks.health import Patient, examine
from robustfeat.evaluation.pipeline import Attacked, Pipeline
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, PerExample


def flags_of(
    pipeline: Pipeline, attack: Attack, attacked: Attacked, examined: int, key: tuple[int, ...]
) -> tuple[Flag, ...]:
    """Signs that an attack failed, from `examined` cases spread over all of them; none for 0."""
    if examined == 0:
        return ()
    total = len(pipeline.cases.rows)
    some = torch.linspace(0, total - 1, min(examined, total)).long()
    cases = pipeline.cases.take(some)
    aim, device = pipeline.aim, pipeline.extractor.device

    @torch.no_grad()
    def values(features: Features) -> PerExample:
        return aim.decides(features.to(device), cases.targets.to(device), cases.clean.to(device))

    part = Pipeline(pipeline.extractor, aim, pipeline.test, cases)
    everything = slice(0, len(some))
    patient = Patient(
        goal=part.goal(everything),
        images=part.images(everything),
        attack=attack,
        clean=values(cases.clean),
        attacked=values(attacked.features[some]),
        effort=attacked.effort,
        generator=generator(*key[:1], Stream.HEALTH, *key[1:], device=device),
    )
    return tuple(examine(patient))
