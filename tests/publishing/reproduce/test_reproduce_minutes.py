"""The minutes decide which attacks are run again, and a killed call goes on with those that it chose."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from published_model import changed

import robustfeat
from robustfeat.command_line.cli import main
from robustfeat.features import hub
from robustfeat.numerics.eps import Eps
from robustfeat.publishing import affordable as affordable_module
from robustfeat.publishing import remeasured as reproduce
from robustfeat.publishing.affordable import Wanted, affordable
from robustfeat.report import DataFacts, Ran, Report, Row, Sized, Splits
from robustfeat.runtime.errors import IntegrityError


def test_without_time_only_the_cheapest_task_is_measured(published: Path) -> None:
    """The head learns nothing, so that no training image is looked at."""
    found = reproduce.quick(str(published), limit=40, minutes=0)
    assert {(number.found.task, number.found.attack) for number in found.numbers} == {("head", "none")}
    for what in ("probe", "probe under fgsm", "probe under pgd", "retrieval", "anomaly"):
        assert sum(note.startswith(f"left out: digits, {what}, about ") for note in found.notes) == 1
    assert not any("left out: digits, head, about" in note for note in found.notes)


def _report(costs: dict[tuple[str, Sized], int], train: str = "t", fits: float = 0.0) -> Report:
    """Of 100 test images and 300 training images; what attacks cost, in passes, 100 of which took a second, as `fits` did."""
    rows = tuple(
        Row(task, "m", "none", None, "", 0.5, 0, 1, 100, fits) for task in dict.fromkeys(task for task, _ in costs)
    )
    runs = tuple(
        Ran(task, "", *sized, "", n - 2 * (n // 4), n // 4, 0, 0, n / 100) for (task, sized), n in costs.items()
    )
    attacks = dict.fromkeys((sized for _, sized in costs), "")
    data = Splits(DataFacts("d", 300, train), DataFacts("d", 100))
    return Report("m", data, "", rows, attacks=attacks, runs=runs)


COSTS = {
    ("a", Sized("x")): 100,
    ("a", Sized("y", Eps(0.1))): 200,
    ("a", Sized("y", Eps(0.2))): 300,
    ("a", Sized("z")): 10,
    ("b", Sized("x")): 400,
    ("b", Sized("y", Eps(0.1))): 50,
    ("b", Sized("z")): 1,
}


def test_every_task_gets_its_first_attack_before_any_its_second() -> None:
    def taken(seconds: float, limit: int = 100) -> dict[str, tuple[str, ...]]:
        report = _report(COSTS)
        parts = affordable([Wanted(report, task, False) for task in "ab"], limit, seconds, speed=100)
        assert all(part.measured for part in parts), "they cost nothing"
        return {part.task: part.attacks for part in parts}

    assert taken(0) == {"a": (), "b": ()}
    assert taken(1) == {"a": ("x",), "b": ()}
    assert taken(2) == {"a": ("x",), "b": ()}, "a cheap attack after one that is too expensive: its place decides"
    assert taken(5) == {"a": ("x",), "b": ("x",)}
    assert taken(5.5) == {"a": ("x",), "b": ("x", "y")}
    assert taken(11) == {"a": ("x", "y", "z"), "b": ("x", "y", "z")}
    assert taken(1.1, limit=10) == {"a": ("x", "y", "z"), "b": ("x", "y", "z")}
    first, _ = affordable([Wanted(_report(COSTS), task, False) for task in "ab"], 100, 1, speed=100)
    assert first.left_out == ("a under y, about 5s", "a under z, about 0s")


def test_what_tasks_learn_from_costs_time_too_and_once() -> None:
    """Features of 300 images take 3 s, for both tasks of a report together; each fit takes 2 s."""
    report = _report({("a", Sized("x")): 100, ("b", Sized("x")): 400}, fits=2.0)
    other = _report({("c", Sized("x")): 100}, train="u")
    wanted = [Wanted(report, "a", True), Wanted(report, "b", True), Wanted(other, "c", True)]

    def taken(seconds: float, speed: float = 100) -> dict[str, tuple[str, ...]]:
        return {part.task: part.attacks for part in affordable(wanted, 100, seconds, speed) if part.measured}

    assert taken(0) == {"c": ()}, "the cheapest, in any case"
    assert taken(4) == {"c": ("x",)}
    assert taken(4 + 4.9) == {"c": ("x",)}
    assert taken(4 + 5) == {"c": ("x",), "a": ()}, "clean where there is no time for more"
    assert taken(4 + 6) == {"c": ("x",), "a": ("x",)}
    assert taken(4 + 6 + 2) == {"c": ("x",), "a": ("x",), "b": ()}
    assert taken(4 + 6 + 2 + 4) == {"c": ("x",), "a": ("x",), "b": ("x",)}
    assert taken(1.6, speed=1000) == taken(16), "a machine that is ten times faster also fits ten times faster"
    parts = affordable(wanted, 100, 4, 100)
    assert parts[0].left_out == ("a, about 5s", "a under x, about 1s")
    assert parts[2].left_out == ()


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
    (report,) = hub.read_card(published).reports[:1]
    report = dataclasses.replace(report, rows=tuple(dataclasses.replace(row, seconds=0.0) for row in report.rows))
    folder = changed(published, tmp_path / "model", reports=(report,))
    passes = {
        name: sum(run.forwards + 2 * run.backwards for run in report.runs if run.attack == name) / 6  # 20 of 120 images
        for name in ("fgsm", "pgd")
    }
    features = report.data.train.images
    out = tmp_path / "out"

    def measured(seconds: float, minutes: float, **options: Any) -> list[tuple[str, str, str, float]]:
        """seconds: that features and the first attack together seem to take."""
        for module in (affordable_module, reproduce):
            monkeypatch.setattr(module, "speed", lambda extractor: (features + passes["fgsm"]) / seconds)
        found = reproduce.quick(str(folder), limit=20, minutes=minutes, **options).numbers
        return [(n.found.task, n.found.metric, n.found.attack, n.found.value) for n in found]

    assert passes["pgd"] > passes["fgsm"]
    some = measured(59, 1)
    assert {attack for _, _, attack, _ in some} == {"none", "fgsm"}
    assert measured(59, 1, out=out) == some
    times = {path: path.stat().st_mtime_ns for path in (out / "records").rglob("*.safetensors")}
    for seconds in (1e-3, 1e6):
        assert measured(seconds, 1, out=out) == some
    assert {path: path.stat().st_mtime_ns for path in (out / "records").rglob("*.safetensors")} == times
    assert measured(60, 60, out=out) == measured(60, 60)
    assert {attack for _, _, attack, _ in measured(60, 60)} == {"none", "fgsm", "pgd"}
    (kept,) = out.glob("speed-*.txt")
    for text in ("", "fast", "0", "nan", "inf"):
        kept.write_text(text)
        with pytest.raises(IntegrityError, match="does not hold a speed; remove it"):
            measured(59, 1, out=out)


def test_the_command_takes_as_long_as_the_function(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[float] = []

    def told(wanted: object, limit: int, seconds: float, speed: float) -> list[Any]:
        taken.append(seconds)
        return []

    monkeypatch.setattr(reproduce, "affordable", told)
    reproduce.quick(str(published), limit=1)
    assert main(["reproduce", str(published), "--quick", "--limit", "1"]) == 0
    assert taken == [600, 600]
    capsys.readouterr()
