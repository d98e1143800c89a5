"""Training on a GPU: the losses of the CPU, nothing that waits, the same after a kill, and what only a GPU has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_runs import gacd
from host_waits import HostWaits
from repository import HELPERS, ROOT
from run_state import state_of
from short_runs import Killed, stop_after

from robustfeat.objectives import AdversarialTraining, Objective
from robustfeat.training.loop import Loop

Training = Callable[..., Path]
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "at": AdversarialTraining,
    "gacd": gacd,
}


def logged(out: Path) -> list[float]:
    """The loss of each step."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [sum(line[name] for name in ("ce", "gacd", "guide") if name in line) for line in lines if "lr" in line]


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_thirty_steps_are_those_of_the_cpu(name: str, training: Training) -> None:
    there, here = (logged(training(where, OBJECTIVES[name](), where, lr=0.005)) for where in ("cpu", "device"))
    assert len(there) == len(here) == 30
    assert here == pytest.approx(there, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_no_step_waits_for_the_device(
    name: str, training: Training, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Loop._step
    waits = HostWaits()

    def step(self: Loop, parts: Any) -> None:
        if self.run.step < 2:  # constants are decided, kernels are chosen
            return original(self, parts)
        if device == "cpu":
            with waits:
                return original(self, parts)
        torch.cuda.set_sync_debug_mode("error")
        try:
            return original(self, parts)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Loop, "_step", step)
    training("device", OBJECTIVES[name](), "run", same_draws=False, max_steps=6, log_steps=100, clip=1.0)
    assert waits.count == {}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_killed_run_goes_on(optimizer: str, training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """With moments that lie in channels_last; kernels of a GPU add in any order, so that bits are not asked for."""
    options = {"optimizer": optimizer, "max_steps": 8, "checkpoint_minutes": 0, "lr": 1e-3}
    training("device", OBJECTIVES["gacd"](), "whole", **options)
    with monkeypatch.context() as patch:
        stop_after(patch, 4, Killed)
        with pytest.raises(Killed):
            training("device", OBJECTIVES["gacd"](), "killed", **options)
    training("device", OBJECTIVES["gacd"](), "killed", resume=True, **options)
    root = training("device", OBJECTIVES["gacd"](), "killed", resume=True, **options).parent
    whole, killed = state_of(root / "whole"), state_of(root / "killed")
    assert whole.keys() == killed.keys()
    for key, value in whole.items():
        if key.startswith(("student", "average", "last")):
            torch.testing.assert_close(killed[key], value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_half_precision_follows(name: str, training: Training) -> None:
    full, half = (
        logged(training("device", OBJECTIVES[name](), precision, precision=precision, max_steps=10))
        for precision in ("no", "bf16")
    )
    assert half[0] == pytest.approx(full[0], rel=0.02)
    assert half[-1] == pytest.approx(full[-1], rel=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"precision": "bf16"}, {"accumulate": 2}], ids=str)
def test_a_compiled_student_learns_the_same(options: dict[str, Any], training: Training) -> None:
    plain, fast = (
        logged(training("device", OBJECTIVES["at"](), str(compiled), compile=compiled, max_steps=6, **options))
        for compiled in (False, True)
    )
    assert fast == pytest.approx(plain, rel=0.05 if options.get("precision") else 1e-3)


def test_two_processes_stay_equal(device: str) -> None:
    """By NCCL on two GPUs; in the rehearsal by gloo."""
    if device == "cuda" and torch.cuda.device_count() < 2:
        pytest.skip("there are not two GPUs")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = HELPERS / "two_devices.py"
    paths = {"PYTHONPATH": os.pathsep.join(str(path) for path in (HELPERS, ROOT))}
    environment = os.environ | paths | {"ACCELERATE_USE_CPU": str(device == "cpu").lower(), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, str(script)], env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("gap 0.0") == 2, done.stdout
