"""Ctrl-C is acknowledged at once, ends after the step, and before the first step ends everything."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from patterns import images

from robustfeat.features.recipe import Recipe
from robustfeat.runtime.errors import InterruptedTraining
from robustfeat.testing import small_network
from robustfeat.training import loop
from robustfeat.training.interrupts import Interrupts
from robustfeat.training.loop import train

RECIPE = Recipe(max_steps=5, batch_size=32, crop=0, steps=1, eval_images=10, eval_steps=1)


def interrupt(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_signal_is_answered_before_anything_else_happens(capfd: pytest.CaptureFixture[str]) -> None:
    with Interrupts() as interrupts:
        interrupt()
        assert interrupts.pending
        assert "interrupted: this step is finished and saved first" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    with Interrupts(quiet=True):
        interrupt()
    assert capfd.readouterr().err == ""


def test_before_the_first_step_it_ends_at_once(tmp_path: Path) -> None:
    """While data is read and the cost is measured, which can take minutes, there is nothing to save."""
    with pytest.raises(KeyboardInterrupt) as caught:
        train("at", RECIPE, tmp_path, data=images(80, 1), student=small_network(0), quiet=True, announce=interrupt)
    assert not isinstance(caught.value, InterruptedTraining)
    assert not (tmp_path / "checkpoints").exists()


def test_during_a_step_it_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = loop.Loop._step

    def interrupted(self: loop.Loop, parts: object) -> None:
        interrupt()
        step(self, parts)  # type: ignore[arg-type]

    monkeypatch.setattr(loop.Loop, "_step", interrupted)
    with pytest.raises(InterruptedTraining, match="step 1, saved"):
        train("at", RECIPE, tmp_path, data=images(80, 1), student=small_network(0), quiet=True)
    assert (tmp_path / "checkpoints").exists()
