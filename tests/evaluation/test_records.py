"""An evaluation that was killed goes on and ends in the same numbers; another one is not taken for it."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from repository import HELPERS

from robustfeat.attacks import PGD, Attack, Effort, Goal, Threat
from robustfeat.attacks.base import Strongest
from robustfeat.attacks.threat import Ball
from robustfeat.data import ImageDataset, dataset
from robustfeat.evaluation import Records, evaluate
from robustfeat.evaluation.records import Finished
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.report import Report, Row
from robustfeat.runtime.errors import IntegrityError

ATTACK = PGD(Threat("linf", 0.05), steps=3)


class Killed(BaseException): ...


@dataclass(frozen=True)
class Watched(Attack):
    """PGD that calls somebody before each batch; is written as PGD."""

    name = "pgd"
    before: Callable[[int], None] = lambda n: None

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        self.before(len(ball.origin))
        ATTACK.search(goal, ball, strongest, generator)

    @property
    def configuration(self) -> str:
        return ATTACK.configuration


@pytest.fixture
def digits() -> tuple[ImageDataset, ImageDataset]:
    return dataset("digits", "train[:100]", image_size=8), dataset("digits", "test[:40]", image_size=8)


def run(extractor: FeatureExtractor, digits: tuple[Any, Any], attack: Attack, **options: Any) -> Report:
    return evaluate(
        extractor, ["probe", "retrieval"], *digits, [attack], batch_size=10, examined=0, progress=False, **options
    )


def timeless(report: Report) -> list[Row]:
    return [dataclasses.replace(row, seconds=0.0) for row in report.rows]


@pytest.mark.parametrize("batches", [1, 5, 11])
def test_a_killed_evaluation_goes_on(
    batches: int, extractor: FeatureExtractor, digits: tuple[Any, Any], tmp_path: Path
) -> None:
    seen: list[int] = []

    def kill(n: int) -> None:
        if len(seen) == batches:
            raise Killed
        seen.append(n)

    with pytest.raises(Killed):
        run(extractor, digits, Watched(ATTACK.threat, before=kill), records=tmp_path)
    again: list[int] = []
    report = run(extractor, digits, Watched(ATTACK.threat, before=again.append), records=tmp_path)
    assert len(seen) + len(again) == 3 * 4, "each batch of each aim is computed once"
    whole = run(extractor, digits, ATTACK)
    assert timeless(report) == timeless(whole)
    assert [ran.backwards for ran in report.runs] == [ran.backwards for ran in whole.runs]


def test_another_evaluation_is_refused(extractor: FeatureExtractor, digits: tuple[Any, Any], tmp_path: Path) -> None:
    run(extractor, digits, ATTACK, records=tmp_path)
    with pytest.raises(ValueError, match=r"holds another evaluation: attacks was .*eps=0\.05.* and is .*eps=0\.06"):
        run(extractor, digits, PGD(Threat("linf", 0.06), steps=3), records=tmp_path)
    with pytest.raises(ValueError, match="test was"):
        run(extractor, (digits[0], digits[1].take(range(39))), ATTACK, records=tmp_path)
    with torch.no_grad():
        next(extractor.parameters()).mul_(1.01)
    with pytest.raises(ValueError, match="model was"):
        run(extractor, digits, ATTACK, records=tmp_path)


def test_a_damaged_record_is_named(extractor: FeatureExtractor, digits: tuple[Any, Any], tmp_path: Path) -> None:
    """Any byte, anywhere in the file."""
    run(extractor, digits, ATTACK, records=tmp_path)
    path = sorted(tmp_path.rglob("*.safetensors"))[0]
    whole = path.read_bytes()
    records, task = Records(tmp_path), str(path.parent.relative_to(tmp_path))
    assert records.read(task, 0) is not None
    moments = random.Random(0)
    for damage in range(40):
        content = bytearray(whole)
        if damage < 30:
            content[moments.randrange(len(whole))] ^= 1 << moments.randrange(8)
        else:
            del content[moments.randrange(len(whole)) :]
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match=r"safetensors' is damaged.*remove it"):
            records.read(task, 0)


def test_out_of_memory_halves_the_batch(
    extractor: FeatureExtractor, digits: tuple[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    def small(n: int) -> None:
        if n > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    report = run(extractor, digits, Watched(ATTACK.threat, before=small))
    assert "out of memory with 10 images; going on with 5" in caplog.text
    whole = run(extractor, digits, ATTACK)
    for row, other in zip(report.rows, whole.rows, strict=True):
        assert abs(row.value - other.value) <= 0.05, "other random starts, the same attack"

    def never(n: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        run(extractor, digits, Watched(ATTACK.threat, before=never))


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 97, 98, 99, 101])
def test_one_two_and_three_processes_give_the_same_bits(n: int, tmp_path: Path) -> None:
    script = HELPERS / "evaluate_processes.py"
    found = []
    for processes in (1, 2, 3):
        out = tmp_path / str(processes)
        launch = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            str(processes),
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*launch, str(script), str(n), str(out)], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        found.append([Report.load(f"{out}-{rank}.json") for rank in range(processes)])
    everything = [timeless(report) for reports in found for report in reports]
    assert all(rows == everything[0] for rows in everything)
    assert {row.n for row in everything[0]} == {n}


def test_batches_stay_inside_whatever_a_task_is_called(tmp_path: Path) -> None:
    records = Records(tmp_path / "records")
    records.open({})
    batch = Finished(torch.zeros(1, 2, 3), [Effort()], [])
    names = ["head:../../teacher under pgd", "adversarial-probe:8/255 under pgd", "/abs", "..", "probe under pgd@8/255"]
    for name in names:
        records.write(name, 0, batch)
        assert records.read(name, 0) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["records"]
    assert len([path for path in (tmp_path / "records").iterdir() if path.is_dir()]) == len(names)
