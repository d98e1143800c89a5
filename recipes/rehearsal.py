"""The command `python -m recipes.rehearsal` runs every stage for a few steps on the CPU, one killed in training, one out of time.

It needs no data and no GPU, but the packages of the machine that it rehearses for: `make rehearsal` makes such an environment.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recipes import MEASURE, STAGES
from recipes.stand_in import write_data

SETTINGS = Path(__file__).with_name("rehearsal.yaml")
PATIENCE = 1500  # seconds for any stage
UNFINISHED = 75


def main() -> int:
    """Run all stages.

    Returns:
        0.

    Raises:
        RuntimeError: if a stage does not behave as expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "data", Path(folder) / "out"
        write_data(data, train=550, test=60)
        for stage in STAGES:
            begin = time.monotonic()
            {"teacher": _kill, "students": _run_out, MEASURE: _some}.get(stage, _finish)(stage, data, out)
            print(f"rehearsed {stage} in {time.monotonic() - begin:.0f} s", flush=True)
        reports = sorted((out / "reports").glob("*/*.json"))
        if len(reports) < 2 or not list((out / "travel").glob("recipes.tar.*")):
            raise RuntimeError(f"the last stage has left {len(reports)} reports, or nothing to take along")
    print(f"rehearsal: {len(STAGES)} stages, {len(reports)} reports, all as they should be")
    return 0


def _start(stage: str, data: Path, out: Path, *options: str, stderr: int | None = None) -> subprocess.Popen[str]:
    common = ["--data", str(data), "--out", str(out), "--override", str(SETTINGS)]
    return subprocess.Popen([sys.executable, "-m", "recipes", stage, *common, *options], stderr=stderr, text=True)


def _finish(stage: str, data: Path, out: Path) -> None:
    _ends_with(0, stage, _start(stage, data, out, "--minutes", "20"))


def _goes_on(stage: str, data: Path, out: Path, step: int) -> None:
    """Run the same command, which has to report that it resumes at `step` or later."""
    process = _start(stage, data, out, "--minutes", "20", stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        print(line, end="", file=sys.stderr)
    _ends_with(0, stage, process)
    resumed = [int(found) for found in re.findall(r"resumed at step (\d+)", said)]
    if not resumed or resumed[0] < step:
        raise RuntimeError(f"{stage} was killed at step {step}, and went on at {resumed or 'the beginning'}")


def _kill(stage: str, data: Path, out: Path) -> None:
    """Kill a stage with SIGKILL after its first checkpoint, and check that the same command continues from it."""
    process = _start(stage, data, out, "--minutes", "20")
    try:
        found = _wait(process, out)
        process.send_signal(signal.SIGKILL)
        _ends_with(-signal.SIGKILL, stage, process)
    finally:
        process.kill()
    _goes_on(stage, data, out, int(found.name))


def _run_out(stage: str, data: Path, out: Path) -> None:
    """Run a stage with too little time, and then with enough."""
    _ends_with(UNFINISHED, stage, _start(stage, data, out, "--minutes", "0.4"))
    _finish(stage, data, out)


def _some(stage: str, data: Path, out: Path) -> None:
    """Measure as many reports as a few minutes allow, because all of them take longer on a CPU than all other stages together."""
    _ends_with((0, UNFINISHED), stage, _start(stage, data, out, "--minutes", "4"))


def _wait(process: subprocess.Popen[str], out: Path) -> Path:
    """Return the first complete checkpoint of the running stage."""
    before = set(out.glob("work/*/checkpoints/*/manifest.json"))
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < PATIENCE:
        if new := sorted(set(out.glob("work/*/checkpoints/[0-9]*/manifest.json")) - before):
            return new[0].parent
        time.sleep(0.05)
    raise RuntimeError("no checkpoint was written before the stage ended")


def _ends_with(codes: int | tuple[int, ...], stage: str, process: subprocess.Popen[str]) -> None:
    try:
        found = process.wait(PATIENCE)
    finally:
        process.kill()
    if found not in (codes if isinstance(codes, tuple) else (codes,)):
        raise RuntimeError(f"stage {stage} ended with code {found} instead of {codes}")


if __name__ == "__main__":
    sys.exit(main())
