"""Trainings of a few steps, and how to kill one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import GACD
from robustfeat.training.loop import Loop, train

RECIPE = Recipe(
    data="digits",
    train="train[:200]",
    held_out="train[200:240]",
    student="cnn_tiny",
    stem="timm",
    eps=Eps(0.1),
    steps=2,
    max_steps=9,
    batch_size=32,
    crop=1,
    cutout=2,
    ema=0.9,
    eval_epochs=0.5,
    eval_images=20,
    eval_steps=2,
    checkpoint_minutes=0,
    log_steps=1,
    channels_last=False,
)


def distil(teacher: str, out: Path, *, resume: bool = False, **changes: object) -> Path:
    recipe = dataclasses.replace(RECIPE, teacher=teacher, **changes)  # type: ignore[arg-type]
    return train(GACD(bank=16, symmetric=True), recipe, out, resume=resume, quiet=True)


class Killed(BaseException): ...


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int, error: type[BaseException]) -> None:
    original = Loop._step
    done = {"steps": 0}

    def step(self: Loop, parts: object) -> None:
        if done["steps"] == steps:
            raise error
        done["steps"] += 1
        original(self, parts)  # type: ignore[arg-type]

    monkeypatch.setattr(Loop, "_step", step)
