"""A small bench from end to end, and its statistics against closed forms."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from robustfeat import hub
from robustfeat.bench import Grid, Outcome, bench, students, summarise
from robustfeat.bench.students import Place
from robustfeat.bench.summary import holm, sign_test
from robustfeat.cli import main
from robustfeat.errors import IntegrityError
from robustfeat.report import Report

GRID = {
    "methods": {"natural": "natural", "at": "at", "gacd": "gacd"},
    "teacher": {"objective": "at", "recipe": {"student": "cnn_small"}},
    "seeds": [0, 1],
    "recipe": {
        **{"stem": "timm", "eps": 0.1, "steps": 1, "batch_size": 64, "max_steps": 4, "crop": 0, "flip": False},
        **{"channels_last": False, "eval_images": 20, "eval_steps": 1},
    },
    "attack": "fgsm",
    "limit": 20,
}


@pytest.fixture(scope="module", autouse=True)
def _no_intervals() -> Iterator[None]:
    """Leave out the bootstrap and the health checks, which take most of the time and are of no matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["robustfeat.tasks.measure"], "bootstrap", lambda *_: {})
        patch.setattr(sys.modules["robustfeat.tasks.evaluate"], "flags_of", lambda *_: ())
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, threads = tmp_path_factory.mktemp("bench"), torch.get_num_threads()
    torch.set_num_threads(1)  # as many as each of two jobs has
    bench(Grid.from_dict(GRID), out, progress=False)
    torch.set_num_threads(threads)
    return out


def test_every_student_has_every_number(done: Path) -> None:
    cells = bench(Grid.from_dict(GRID), done, progress=False).cells
    names = [(cell.method, cell.seed) for cell in cells]
    assert names == [("teacher", 0), *((name, seed) for seed in (0, 1) for name in ("natural", "at", "gacd"))]
    expected = {
        "clean",
        "fgsm",
        "pgd-20",
        "cw-20",
        "final",
        "shift",
        "CKA",
        "CKA attacked",
        "class gap",
        "class gap attacked",
    }
    expected |= {f"{task}{suffix}" for task in ("probe", "retrieval", "anomaly") for suffix in ("", " robust")}
    assert cells[0].numbers.keys() == expected
    assert all(cell.numbers.keys() == expected | {"minutes", "images/s"} for cell in cells[1:])
    assert cells[0].numbers["CKA"] == pytest.approx(1)
    for cell in cells:
        folder = done / "teacher" if cell.method == "teacher" else done / cell.student / cell.method / str(cell.seed)
        tasks = Report.load(folder / "tasks.json")
        assert cell.numbers["probe robust"] == tasks.value("probe", "accuracy", "final")


def test_what_is_finished_is_not_made_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench(Grid.from_dict(GRID), done, progress=False)
    monkeypatch.setattr("robustfeat.bench.students.train", None)
    monkeypatch.setattr("robustfeat.bench.measure.evaluate", None)
    assert bench(Grid.from_dict(GRID), done, progress=False) == first
    monkeypatch.chdir(done.parent)
    assert bench(Grid.from_dict(GRID), done.name, progress=False) == first, "the same folder by another path"
    monkeypatch.undo()
    for change, named in (({"limit": 19}, "limit"), ({"attack": "pgd"}, "attack")):
        with pytest.raises(ValueError, match=f"made with another {named}; choose another folder"):
            bench(Grid.from_dict(GRID | change), done, progress=False)
    changed = GRID | {"recipe": GRID["recipe"] | {"lr": 0.3}, "teacher": str(done / "teacher")}  # type: ignore[operator]
    with pytest.raises(ValueError, match="made with another recipe"):
        bench(Grid.from_dict(changed), done, progress=False)


def test_two_processes_find_what_one_finds(done: Path, tmp_path: Path) -> None:
    grid = Grid.from_dict(GRID | {"methods": {"natural": "natural"}})
    one, two = (bench(grid, out, jobs=jobs, progress=False).cells for out, jobs in ((done, 1), (tmp_path, 2)))
    assert [(cell.method, cell.seed) for cell in two] == [(cell.method, cell.seed) for cell in one]
    for here, there in zip(one, two, strict=True):
        assert _but_speed(here.numbers) == pytest.approx(_but_speed(there.numbers), abs=1e-5)
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        bench(grid, tmp_path, jobs=0)


def _but_speed(numbers: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if name not in ("minutes", "images/s")}


def test_a_killed_process_is_named(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustfeat.bench.processes._make", _die)
    with pytest.raises(ChildProcessError, match="the same command goes on where it was"):
        bench(Grid.from_dict(GRID), done, jobs=2, progress=False)


def _die(place: Place) -> None:
    os._exit(1)


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


@pytest.mark.parametrize("jobs", [1, 2])
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
        hub.save(best, network, replace(card, weights={}))
        return best

    monkeypatch.setattr(students, "train", without_weights)
    grid = Grid.from_dict(GRID | {"methods": ["natural"], "seeds": [0], "champion": "natural"})
    outcome = bench(grid, tmp_path, progress=False)
    assert [cell.method for cell in outcome.cells] == ["teacher"]
    assert str(outcome.diverged[0]).startswith("natural (cnn_tiny, seed 0): all normal features are equal")


def test_each_finished_student_is_shown(done: Path) -> None:
    seen: list[Outcome] = []
    last = bench(Grid.from_dict(GRID), done, progress=False, each=seen.append)
    assert [len(outcome.cells) for outcome in seen] == [2, 3, 4, 5, 6, 7]
    assert seen[-1] == last
    table = summarise(seen[3], done, "gacd")  # the champion has one seed by then, natural two
    assert [(line.method, line.seeds) for line in table.lines] == [
        ("teacher", 1),
        ("natural", 2),
        ("at", 1),
        ("gacd", 1),
    ]
    robust = {(cell.method, cell.seed): cell.numbers["probe robust"] for cell in last.cells}
    over = {a.over: a.difference for a in table.advantages}
    assert over["natural"] == pytest.approx(robust["gacd", 0] - robust["natural", 0]), "seed 0 with seed 0"


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


def test_the_summary_by_hand(done: Path) -> None:
    outcome = bench(Grid.from_dict(GRID), done, progress=False)
    cells, summary = outcome.cells, summarise(outcome, done, "gacd")
    for line in summary.lines:
        same = [cell for cell in cells if (cell.method, cell.student) == (line.method, line.student)]
        for name, (mean, spread) in line.numbers.items():
            values = [_robust(cell.numbers) if name == "mean robust" else cell.numbers[name] for cell in same]
            assert mean == pytest.approx(np.mean(values))
            assert np.isnan(spread) if len(values) == 1 else spread == pytest.approx(np.std(values, ddof=1))
    probe = {line.method: line.numbers["probe robust"][0] for line in summary.lines}
    assert {a.over for a in summary.advantages} == {"natural", "at"}
    for a in summary.advantages:
        assert a.difference == pytest.approx(probe["gacd"] - probe[a.over])
        assert a.p <= a.holm <= 1


def _robust(numbers: dict[str, float]) -> float:
    return (numbers["probe robust"] + numbers["retrieval robust"] + numbers["anomaly robust"]) / 3


def test_random_signs_against_all_signs() -> None:
    gaps = np.array([0.5, 1, 1, -0.5, 0, 0.5, 1, 0.5, -1, 0.5])
    every = [abs(np.dot(signs, gaps)) >= abs(gaps.sum()) - 1e-9 for signs in itertools.product([-1, 1], repeat=10)]
    assert sign_test(gaps) == pytest.approx(np.mean(every), abs=0.015)
    assert sign_test(np.zeros(5)) == 1
    assert sign_test(np.ones(40)) < 0.001


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = {"recipe": GRID["recipe"] | {"minutes": 60, "image_size": 28}}  # type: ignore[operator]
    own = {"objective": "gacd", "recipe": {"batch_size": 128, "epochs": 9}}
    (tmp_path / "g.yaml").write_text(json.dumps(GRID | long | {"methods": {"natural": "natural", "gacd": own}}))
    command = ["bench", str(tmp_path / "g.yaml"), "--out", str(tmp_path / "out"), "--seeds", "3", "--method", "natural"]
    command += ["--method", "gacd", "--dry_run"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [line["method"] for line in found["lines"]] == ["teacher", "natural", "gacd"]
    assert found["lines"][1]["numbers"]["probe"]["sd"] is None
    page = (tmp_path / "out" / "bench.md").read_text()
    assert "| gacd | cnn_tiny | 1 |" in page
    assert "gacd over natural (cnn_tiny), robust probe: " in page
    for method in ("natural", "gacd"):
        card = json.loads((tmp_path / "out" / "cnn_tiny" / method / "3" / "last" / "card.json").read_text())
        assert (card["training"]["steps"], card["recipe"]["batch_size"], card["recipe"]["steps"]) == (2, 16, 1)
        assert card["recipe"]["image_size"] == 16
    with Image.open(tmp_path / "out" / "bench.png") as picture:
        picture.verify()
    assert main([*command, "--seeds", "one"]) == 2
    assert "seeds must be whole numbers" in capsys.readouterr().err
    assert main([*command, "--method", "kdd"]) == 2
    assert "the grid has no method 'kdd'" in capsys.readouterr().err
