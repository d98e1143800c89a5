"""A small bench from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from small_grid import GRID

from robustfeat.bench import Grid, Outcome, bench, summarise
from robustfeat.command_line.cli import main
from robustfeat.report import Report


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


@pytest.mark.slow
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
