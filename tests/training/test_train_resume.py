"""Checkpoints: interrupted and uninterrupted runs end in the same bits, and what cannot be resumed is refused."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from run_state import assert_same, state_of
from short_runs import Killed, distil, stop_after

from robustfeat.runtime.errors import IntegrityError, InterruptedTraining
from robustfeat.training import checkpoint
from robustfeat.training.loop import Loop


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_a_killed_run_ends_in_the_same_bits(
    teacher: str, uninterrupted: Path, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, steps, Killed)
        with pytest.raises(Killed):
            distil(teacher, tmp_path)
    distil(teacher, tmp_path, resume=True)
    assert_same(uninterrupted, tmp_path)
    logs = [
        [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in (uninterrupted, tmp_path)
    ]
    for line in (*logs[0], *logs[1]):
        line.pop("images_per_s", None), line.pop("eta_s", None)
    assert logs[0] == logs[1]


def test_ctrl_c_saves_and_says_so(
    teacher: str, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Loop._step

    def step(self: Loop, parts: object) -> None:
        original(self, parts)  # type: ignore[arg-type]
        if self.run.step == 5:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", step)
        with pytest.raises(InterruptedTraining, match="step 5"):
            distil(teacher, tmp_path, checkpoint_minutes=60)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    distil(teacher, tmp_path, resume=True, checkpoint_minutes=60)
    assert_same(uninterrupted, tmp_path)


def test_a_damaged_checkpoint_is_passed_over(
    teacher: str, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 6, Killed)
        with pytest.raises(Killed):
            distil(teacher, tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    weights = newest / "student.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    distil(teacher, tmp_path, resume=True)
    assert_same(uninterrupted, tmp_path)


def test_resume_without_a_checkpoint_starts_from_the_beginning(
    teacher: str, uninterrupted: Path, tmp_path: Path
) -> None:
    distil(teacher, tmp_path, resume=True)
    assert_same(uninterrupted, tmp_path)


def test_resume_of_another_run_is_refused(teacher: str, uninterrupted: Path) -> None:
    with pytest.raises(ValueError, match=r"lr was 0\.1 and is 0\.2"):
        distil(teacher, uninterrupted, resume=True, lr=0.2)
    with pytest.raises(FileExistsError, match="holds a run already"):
        distil(teacher, uninterrupted)


def test_the_last_checkpoint_has_the_last_measurement(teacher: str, tmp_path: Path) -> None:
    distil(teacher, tmp_path, max_steps=5, eval_epochs=100)
    path, _ = checkpoint.latest(tmp_path / "checkpoints")
    assert path is not None
    assert checkpoint.read(path).state["best"]["measured_at"] == 5


def test_a_full_disk_loses_nothing(teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distil(teacher, tmp_path, max_steps=4)
    before = state_of(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(OSError, match="no space left on the disk for"):
            distil(teacher, tmp_path, resume=True)
    after = state_of(tmp_path)
    assert all(torch.equal(before[key], after[key]) for key in before if not key.startswith(("best", "last")))
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_each_file_of_a_checkpoint_is_needed(uninterrupted: Path, tmp_path: Path) -> None:
    path, _ = checkpoint.latest(uninterrupted / "checkpoints")
    assert path is not None
    files = sorted(file.name for file in path.iterdir())
    assert {
        "student.safetensors",
        "objective.safetensors",
        "optimizer.safetensors",
        "average.safetensors",
        "state.json",
    } < set(files)
    for missing in files:
        copy = tmp_path / missing / path.name
        copy.mkdir(parents=True)
        for file in files:
            if file != missing:
                (copy / file).write_bytes((path / file).read_bytes())
        with pytest.raises(IntegrityError):
            checkpoint.read(copy)
        assert checkpoint.latest(copy.parent)[0] is None
