"""Several processes (gloo on the CPU) and kills from outside, through the real command line."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from repository import HELPERS
from run_state import assert_same

from robustfeat.training import checkpoint

SMALL = [
    "--data=digits", "--train=train[:200]", "--held_out=train[200:240]", "--student=cnn_tiny", "--stem=timm", "--eps=0.1",
    "--steps=2", "--batch_size=32", "--crop=1", "--ema=0.9", "--eval_epochs=1", "--eval_images=20", "--eval_steps=2",
    "--checkpoint_minutes=0", "--log_steps=1", "--channels_last=false",
]  # fmt: skip
GACD = ["train", "gacd", "--bank=16", "--symmetric=true", *SMALL]
# accelerate launch --cpu starts one process whatever --num_processes says; this is how it starts several on CPUs.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
LAUNCH = [
    sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port",
]  # fmt: skip


def two_processes() -> list[str]:
    """How to launch them, with a port that is free now: 0, for any port, makes them wait for each other on torch 2.6."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return [*LAUNCH, str(free.getsockname()[1])]


def launcher(processes: int) -> list[str]:
    return [sys.executable, "-m", "robustfeat"] if processes == 1 else [*two_processes(), "-m", "robustfeat"]


def run(processes: int, *arguments: str, seconds: float | None = None) -> int:
    """Run a command; kill it and all it started after so many seconds. Returns the exit code, -9 for a killed one.

    The launcher gives each worker a session of its own, so that the group of the launcher does not hold them.
    """
    process = subprocess.Popen(
        [*launcher(processes), *arguments],
        env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _, errors = process.communicate(timeout=seconds or 240)
    except subprocess.TimeoutExpired:
        everything = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.communicate(timeout=60)
        return -9
    assert process.returncode == 0 or seconds is not None, errors
    return process.returncode


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("teacher")
    run(1, "train", "at", *SMALL, "--max_steps=3", f"--out={out}")
    return str(out)


def test_two_processes_stay_equal() -> None:
    """Parameters and banks of both ranks after three steps: a gap of exactly 0; each rank has seen other rows."""
    script = HELPERS / "two_processes.py"
    done = subprocess.run([*two_processes(), str(script)], env=ENVIRONMENT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("gap 0.0") == 2, done.stdout


def kill_until_done(processes: int, teacher: str, out: Path, kills: int, seed: int, longest: float) -> int:
    """Start, kill after a random time, resume; then let it finish. Returns how many kills hit a running training."""
    moments = random.Random(seed)
    arguments = [*GACD, f"--teacher={teacher}", "--max_steps=40", f"--out={out}", "--resume"]
    hit = 0
    for _ in range(kills):
        started = time.monotonic()
        hit += run(processes, *arguments, seconds=moments.uniform(0.3 * longest, longest)) == -9
        assert time.monotonic() - started < 2 * longest + 30
    run(processes, *arguments)
    return hit


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.slow
@pytest.mark.timeout(900)  # fifteen starts of two processes, on a machine that may have more to do
def test_killed_at_random_instants_ends_in_the_same_bits(processes: int, teacher: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    started = time.monotonic()
    run(processes, *GACD, f"--teacher={teacher}", "--max_steps=40", f"--out={whole}")
    longest = time.monotonic() - started
    kills = 15
    assert kill_until_done(processes, teacher, killed, kills, processes, longest) >= 3
    assert_same(whole, killed)


@pytest.mark.slow
def test_the_command_line_resumes_a_killed_run(teacher: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = [*GACD, f"--teacher={teacher}", "--max_steps=12"]
    run(1, *arguments, f"--out={whole}")
    process = subprocess.Popen(
        [*launcher(1), *arguments, f"--out={killed}"],
        env=ENVIRONMENT,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 100
    while checkpoint.latest(killed / "checkpoints")[0] is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert checkpoint.latest(killed / "checkpoints")[0] is not None
    run(1, *arguments, f"--out={killed}", "--resume")
    assert_same(whole, killed)
