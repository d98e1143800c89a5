"""An average that starts late follows the weights first; runs of versions that knew no such start are as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from run_state import assert_same
from short_runs import Killed, distil, stop_after

from robustfeat.bench.cell import Cell
from robustfeat.features.recipe import Recipe
from robustfeat.runtime.files import sha256
from robustfeat.training import checkpoint
from robustfeat.training.loop import Loop

DECAY, STEPS, START = 0.9, 9, 0.4  # of short_runs; steps 0 to 3 are before the start


def test_the_average_is_that_of_a_plain_loop(teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, weights = Loop._step, []

    def step(self: Loop, parts: Any) -> None:
        original(self, parts)
        weights.append({key: value.clone() for key, value in self.run.student.state_dict().items()})

    monkeypatch.setattr(Loop, "_step", step)
    distil(teacher, tmp_path, ema_start=START)
    assert len(weights) == STEPS
    followed = [k for k in range(STEPS) if k / STEPS < START]
    expected = weights[followed[-1]]
    for t, current in enumerate(weights[len(followed) :], start=1):
        decay = min(DECAY, (1 + t) / (10 + t))
        expected = {
            key: decay * expected[key] + (1 - decay) * value if value.is_floating_point() else value
            for key, value in current.items()
        }
    path, _ = checkpoint.latest(tmp_path / "checkpoints")
    assert path is not None
    average = checkpoint.read(path).tensors["average"]
    assert int(average["n_averaged"]) == STEPS - len(followed) + 1
    for key, value in expected.items():
        torch.testing.assert_close(average[f"module.{key}"], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_a_run_that_is_killed_around_the_start_ends_in_the_same_bits(
    teacher: str, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    distil(teacher, tmp_path / "whole", ema_start=START)
    with monkeypatch.context() as patch:
        stop_after(patch, steps, Killed)
        with pytest.raises(Killed):
            distil(teacher, tmp_path / "killed", ema_start=START)
    distil(teacher, tmp_path / "killed", resume=True, ema_start=START)
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_a_checkpoint_of_before_goes_on_with_the_default_only(teacher: str, tmp_path: Path) -> None:
    distil(teacher, tmp_path, max_steps=4)
    path, _ = checkpoint.latest(tmp_path / "checkpoints")
    assert path is not None
    state, manifest = (json.loads((path / name).read_text()) for name in ("state.json", "manifest.json"))
    assert state["identity"].pop("ema_start") == 0.0
    assert state["identity"]["objective"].pop("ce") == 0.0
    (path / "state.json").write_text(json.dumps(state))
    (path / "manifest.json").write_text(json.dumps(manifest | {"state.json": sha256(path / "state.json")}))
    with pytest.raises(ValueError, match=r"ema_start was 0\.0 and is 0\.5"):
        distil(teacher, tmp_path, resume=True, max_steps=6, ema_start=0.5)
    distil(teacher, tmp_path, resume=True, max_steps=6)


def test_a_cell_of_before_is_that_of_the_default(tmp_path: Path) -> None:
    recipe = Recipe(seed=3).as_dict()
    before = {key: value for key, value in recipe.items() if key != "ema_start"}
    Cell("gacd", "cnn_tiny", 3, {}, [], {"recipe": before}).save(tmp_path / "cell.json")
    assert Cell.load(tmp_path / "cell.json", {"recipe": recipe}).seed == 3
    with pytest.raises(ValueError, match="made with another recipe"):
        Cell.load(tmp_path / "cell.json", {"recipe": recipe | {"ema_start": 0.2}})


def test_a_cell_of_before_has_the_defaults_of_later_options(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"objective": "trades", "options": {"beta": 6.0}}
    Cell("trades", "cnn_tiny", 3, {}, [], facts).save(tmp_path / "cell.json")
    assert Cell.load(tmp_path / "cell.json", facts | {"options": {"beta": 6.0, "label_smoothing": 0.0}}).seed == 3
    with pytest.raises(ValueError, match="made with another options"):
        Cell.load(tmp_path / "cell.json", facts | {"options": {"beta": 6.0, "label_smoothing": 0.4}})


def test_a_start_outside_the_run_is_refused() -> None:
    for start in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="ema_start must be in"):
            Recipe(ema_start=start)
