"""The last step of a run is looked at like every other one: what is not finite is not published."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import RECIPE

from robustfeat.command_line.cli import main
from robustfeat.numerics.types import Losses
from robustfeat.objectives import Natural, Views
from robustfeat.runtime.errors import DivergedError
from robustfeat.training.loop import train

STEPS = 3


class LossAtTheEnd(Natural):
    """The loss of the last step is NaN."""

    calls = 0

    def forward(self, views: Views) -> Losses:
        self.calls += 1
        losses = super().forward(views)
        return Losses({"ce": losses.terms["ce"] * (torch.nan if self.calls == STEPS else 1)}, {})


class Spoiled(torch.autograd.Function):
    """The identity, whose gradient is NaN."""

    @staticmethod
    def forward(context: Any, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * torch.nan


class WeightsAtTheEnd(Natural):
    """The loss of the last step is finite, its gradient is not."""

    calls = 0

    def forward(self, views: Views) -> Losses:
        self.calls += 1
        losses = super().forward(views)
        return Losses({"ce": Spoiled.apply(losses.terms["ce"]) if self.calls == STEPS else losses.terms["ce"]}, {})


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("log_steps", [1, 1000])
@pytest.mark.parametrize("eval_epochs", [0.5, 100])
@pytest.mark.parametrize("broken", [LossAtTheEnd, WeightsAtTheEnd])
def test_nothing_of_a_broken_last_step_is_kept(
    broken: type[Natural], eval_epochs: float, log_steps: int, ema: float, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(
        RECIPE, max_steps=STEPS, log_steps=log_steps, eval_epochs=eval_epochs, ema=ema, checkpoint_minutes=60
    )
    with pytest.raises(DivergedError, match=r"became nan at step 2"):
        train(broken(), recipe, tmp_path, quiet=True)
    assert not (tmp_path / "best").exists()
    assert not (tmp_path / "last").exists()
    assert not list((tmp_path / "checkpoints").glob("0*"))


def test_the_command_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    natural, calls = Natural.forward, []

    def forward(self: Natural, views: Views) -> Losses:
        calls.append(1)
        losses = natural(self, views)
        return Losses({"ce": losses.terms["ce"] * (torch.nan if len(calls) == STEPS else 1)}, {})

    monkeypatch.setattr(Natural, "forward", forward)
    arguments = [
        "--data=digits",
        "--train=train[:200]",
        "--held_out=train[200:240]",
        "--student=cnn_tiny",
        "--stem=timm",
    ]
    arguments += [
        f"--max_steps={STEPS}",
        "--batch_size=32",
        "--crop=1",
        "--channels_last=false",
        f"--out={tmp_path / 'run'}",
    ]
    assert main(["train", "natural", *arguments]) == 1
    assert "'ce' became nan at step 2" in capsys.readouterr().err
    assert not (tmp_path / "run" / "best").exists()
