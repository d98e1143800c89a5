"""The minutes decide which attacks are run again, and a killed call goes on with those that it chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from published_model import changed

import robustfeat
from robustfeat import affordable as affordable_module
from robustfeat import hub, reproduce
from robustfeat.affordable import affordable
from robustfeat.cli import main
from robustfeat.errors import IntegrityError
from robustfeat.report import Ran, Report
from robustfeat.types import Row


def test_without_time_only_clean_numbers_are_measured(published: Path) -> None:
    found = reproduce.quick(str(published), limit=40, minutes=0)
    assert {number.found.attack for number in found.numbers} == {"none"}
    assert sum(note.startswith("left out: digits, probe under pgd, about ") for note in found.notes) == 1
    assert sum(note.startswith("left out") for note in found.notes) == 6


def test_every_task_gets_its_first_attack_before_any_its_second() -> None:
    def report(passes: dict[tuple[str, str], int]) -> Report:
        rows = tuple(Row(task, "m", "none", 0.5, 0, 1, 100, 0) for task in ("a", "b"))
        runs = tuple(
            Ran(task, "", attack, "", n - 2 * (n // 4), n // 4, 0, 0, 0.0) for (task, attack), n in passes.items()
        )
        return Report(
            "m", {"test": {"images": 100}}, "", rows, attacks={"x": "", "y@1": "", "y@2": "", "z": ""}, runs=runs
        )

    costs = {
        ("a", "x"): 100,
        ("a", "y@1"): 200,
        ("a", "y@2"): 300,
        ("a", "z"): 10,
        ("b", "x"): 400,
        ("b", "y@1"): 50,
        ("b", "z"): 1,
    }

    def taken(seconds: float, limit: int = 100) -> dict[str, tuple[str, ...]]:
        return {part.task: part.attacks for part in affordable([report(costs)], limit, seconds, speed=100)}

    assert taken(0) == {"a": (), "b": ()}
    assert taken(1) == {"a": ("x",), "b": ()}
    assert taken(2) == {"a": ("x",), "b": ()}, "a cheap attack after one that is too expensive: its place decides"
    assert taken(5) == {"a": ("x",), "b": ("x",)}
    assert taken(5.5) == {"a": ("x",), "b": ("x", "y")}
    assert taken(11) == {"a": ("x", "y", "z"), "b": ("x", "y", "z")}
    assert taken(1.1, limit=10) == {"a": ("x", "y", "z"), "b": ("x", "y", "z")}
    (first, _) = affordable([report(costs)], 100, 1, speed=100)
    assert first.left_out == ("a under y, about 5s", "a under z, about 0s")


def test_a_killed_call_goes_on(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first task."""
    calls: list[str] = []
    folder = changed(published, tmp_path / "model", reports=hub.read_card(published).reports[:1])

    def evaluate(*arguments: object, **options: object) -> Report:
        if calls:
            raise KeyboardInterrupt
        calls.append("")
        return robustfeat.evaluate(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(reproduce, "evaluate", evaluate)
    with pytest.raises(KeyboardInterrupt):
        reproduce.quick(str(folder), limit=20, out=tmp_path / "out")
    monkeypatch.undo()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "records").rglob("*.safetensors")}
    assert kept
    whole = reproduce.quick(str(folder), limit=20)
    found = reproduce.quick(str(folder), limit=20, out=tmp_path / "out")
    assert [n.found.value for n in found.numbers] == [n.found.value for n in whole.numbers]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_killed_call_goes_on_with_the_attacks_that_it_chose(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast the machine seems the second time. More minutes are another choice, which has a place of its own."""
    folder = changed(published, tmp_path / "model", reports=hub.read_card(published).reports[:1])
    out = tmp_path / "out"

    def measured(seconds: float, minutes: float, **options: Any) -> list[tuple[str, str, str, float]]:
        """seconds: that all attacks together seem to take."""
        runs = hub.read_card(folder).reports[0].runs
        passes = sum(run.forwards + 2 * run.backwards for run in runs) / 6  # 20 of 120 images
        for module in (affordable_module, reproduce):
            monkeypatch.setattr(module, "speed", lambda extractor: passes / seconds)
        found = reproduce.quick(str(folder), limit=20, minutes=minutes, **options).numbers
        return [(n.found.task, n.found.metric, n.found.attack, n.found.value) for n in found]

    some = measured(120, 1)
    assert {attack for _, _, attack, _ in some} == {"none", "fgsm"}
    assert measured(120, 1, out=out) == some
    times = {path: path.stat().st_mtime_ns for path in (out / "records").rglob("*.safetensors")}
    for seconds in (1e-3, 1e6):
        assert measured(seconds, 1, out=out) == some
    assert {path: path.stat().st_mtime_ns for path in (out / "records").rglob("*.safetensors")} == times
    assert measured(120, 0, out=out) == [row for row in some if row[2] == "none"]
    assert measured(120, 60, out=out) == measured(120, 60)
    (kept,) = out.glob("speed-*.txt")
    for text in ("", "fast", "0", "nan", "inf"):
        kept.write_text(text)
        with pytest.raises(IntegrityError, match="does not hold a speed; remove it"):
            measured(120, 1, out=out)


def test_the_command_takes_as_long_as_the_function(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[float] = []

    def told(reports: object, limit: int, seconds: float, speed: float) -> list[Any]:
        taken.append(seconds)
        return []

    monkeypatch.setattr(reproduce, "affordable", told)
    reproduce.quick(str(published), limit=1)
    assert main(["reproduce", str(published), "--quick", "--limit", "1"]) == 0
    assert taken == [300, 300]
    capsys.readouterr()
