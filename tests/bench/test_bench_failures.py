"""What becomes of a bench when a process dies, a student fails or its folder holds something else."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_grid import GRID

from robustfeat.bench import Grid, bench, students
from robustfeat.bench.students import Place
from robustfeat.command_line.cli import main
from robustfeat.features import hub
from robustfeat.runtime.errors import IntegrityError


@pytest.mark.slow
def test_a_killed_process_is_named(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustfeat.bench.processes._make", _die)
    with pytest.raises(ChildProcessError, match="the same command goes on where it was"):
        bench(Grid.from_dict(GRID), done, jobs=2, progress=False)


def _die(place: Place) -> None:
    os._exit(1)


@pytest.mark.slow
def test_after_an_error_no_further_student_is_begun(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBUSTFEAT_TEST_FOLDER", str(tmp_path))
    monkeypatch.setattr("robustfeat.bench.processes._make", _fail)
    with pytest.raises(ValueError, match="of a student"):
        bench(Grid.from_dict(GRID | {"seeds": list(range(8))}), done, jobs=2, progress=False)
    assert 1 <= len(list(tmp_path.iterdir())) <= 3, "of 24 students"


def _fail(place: Place) -> None:
    Path(os.environ["ROBUSTFEAT_TEST_FOLDER"], f"{place.method}-{place.seed}").touch()
    raise ValueError("of a student")


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_student_that_diverges_is_passed_over(jobs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a rate of 1e30 the second step of at is not finite; the table has the other, and says so."""
    methods = {"fast": {"objective": "at", "recipe": {"lr": 1e30}}, "natural": "natural"}
    (tmp_path / "g.yaml").write_text(json.dumps(GRID | {"methods": methods, "seeds": [0], "champion": "natural"}))
    command = ["bench", str(tmp_path / "g.yaml"), "--out", str(tmp_path / "out"), "--jobs", str(jobs), "--json"]
    assert main(command) == 1
    found = json.loads(capsys.readouterr().out)
    assert [line["method"] for line in found["lines"]] == ["teacher", "natural"]
    (message,) = found["diverged"]
    assert re.match(r"fast \(cnn_tiny, seed 0\): .*step \d", message)
    assert f"- ! no numbers of {message}" in (tmp_path / "out" / "bench.md").read_text()


def test_a_student_whose_features_collapse_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = students.train

    def without_weights(*arguments: Any, **options: Any) -> Path:
        best = trained(*arguments, **options)
        network, card = hub.load_network(best)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        hub.save(best, network, replace(card, weights=None))
        return best

    monkeypatch.setattr(students, "train", without_weights)
    grid = Grid.from_dict(GRID | {"methods": ["natural"], "seeds": [0], "champion": "natural"})
    outcome = bench(grid, tmp_path, progress=False)
    assert [cell.method for cell in outcome.cells] == ["teacher"]
    assert str(outcome.diverged[0]).startswith("natural (cnn_tiny, seed 0): all normal features are equal")


def test_a_longer_recipe_does_not_train_the_teacher_on(done: Path) -> None:
    before = (done / "teacher" / "best" / "card.json").read_text()
    longer = GRID | {"recipe": GRID["recipe"] | {"max_steps": 6}}  # type: ignore[operator]
    with pytest.raises(ValueError, match="a teacher that was made with another max_steps; choose another folder"):
        bench(Grid.from_dict(longer), done, progress=False)
    assert (done / "teacher" / "best" / "card.json").read_text() == before


def test_a_damaged_cell_is_named(done: Path) -> None:
    path = done / "cnn_tiny" / "at" / "0" / "cell.json"
    content = path.read_text()
    try:
        for damaged in (content[:50], "[]", '{"a": 1}'):
            path.write_text(damaged)
            with pytest.raises(IntegrityError, match="remove it, to measure again"):
                bench(Grid.from_dict(GRID), done, progress=False)
    finally:
        path.write_text(content)
