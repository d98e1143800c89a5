"""The recipes: every stage, ends and beginnings, and what is left for the way home."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes import MODELS, travel
from recipes.configuration import FOLDER, Overrides, evaluations, trainings
from robustfeat.command_line import cli
from robustfeat.features import hub
from robustfeat.features.card import ModelRef
from robustfeat.features.recipe import Recipe
from robustfeat.report import Report
from robustfeat.training.loop import Loop

TINY = Path(__file__).with_name("tiny.yaml")
NAMES = [name for names in MODELS.values() for name in names]
Recipes = Callable[..., int]


def test_every_model_is_there_in_half_precision(out: Path) -> None:
    for name in NAMES:
        card = hub.load(out / "models" / name).card
        assert (card.name, card.weights.dtype) == (name, "float16")
        assert card.training.steps == 2
    logs = {path.name for path in (out / "logs").iterdir()}
    assert logs == {f"{path.stem}.jsonl" for path in FOLDER.glob("*/*-*.yaml") if path.parent.name != "evaluate"}


def test_teachers_and_starts_are_those_of_the_recipes(out: Path) -> None:
    digests = {name: hub.read_card(out / "models" / name).weights.sha256 for name in NAMES}
    for name, teacher, start in (
        ("gacd-resnet18", "at-resnet18d", "natural-resnet18"),
        ("gacd-mobilenetv2", "at-resnet18d", "natural-mobilenetv2"),
        ("fare-resnet18", "natural-resnet18", "natural-resnet18"),
        ("anchored-resnet18", "natural-resnet18", "natural-resnet18"),
    ):
        card = hub.read_card(out / "models" / name)
        assert (card.teacher, card.start) == tuple(ModelRef(one, digests[one]) for one in (teacher, start))


def test_the_better_run_becomes_the_teacher(out: Path) -> None:
    facts = {}
    for run in ("at-resnet18d.2-steps", "at-resnet18d.3-steps"):
        card = hub.read_card(out / "work" / run / "best")
        facts[card.recipe and card.recipe.steps] = (card.training.held_out_robust, card.training.held_out_clean)
    chosen = hub.read_card(out / "models" / "at-resnet18d").recipe
    assert chosen is not None
    assert facts[chosen.steps] == max(facts.values())


def test_what_is_done_is_passed_over(
    out: Path, recipes: Recipes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Loop, "_step", None)
    # The folder has moved, and with it the teachers, so that only models without one are as their settings say.
    assert recipes("natural", "teacher", "--out", out, "--override", TINY) == 0
    assert capsys.readouterr().out.count(": done") == 3


def test_a_model_from_elsewhere_is_taken_as_it_is(out: Path, recipes: Recipes, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(out / "work")
    shutil.rmtree(out / "travel")
    before = hub.read_card(out / "models" / "natural-resnet18")
    monkeypatch.setattr(Loop, "_step", None)
    assert recipes("natural", "--out", out) == 0, "with other settings"
    assert hub.read_card(out / "models" / "natural-resnet18") == before
    assert list((out / "travel").iterdir()) == [], "it need not go back"


def test_a_teacher_that_is_not_there_is_named(tmp_path: Path, recipes: Recipes) -> None:
    """And not taken from the published models, which has one of that name."""
    with pytest.raises(ValueError, match="gacd-resnet18 needs 'at-resnet18d' as its teacher, which is not in"):
        recipes("students", "--out", tmp_path, "--override", TINY)


def test_a_call_that_is_over_saves_and_the_next_one_goes_on(
    tmp_path: Path, recipes: Recipes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clock rings while the first step is taken; whatever has been measured by then travels."""
    original = Loop._step
    longer = tmp_path / "longer.yaml"
    longer.write_text(TINY.read_text().replace("max_steps: 2", "max_steps: 100000\n  eval_epochs: 0.2"))
    assert recipes("natural", "--out", tmp_path / "out", "--override", longer, "--minutes", 0.05) == 75
    assert "interrupted at step" in capsys.readouterr().out
    (log,) = (tmp_path / "out" / "logs").iterdir()
    step = json.loads(log.read_text().splitlines()[-1])["step"]
    assert list((tmp_path / "out" / "travel").iterdir())
    assert hub.load(tmp_path / "out" / "models" / "natural-resnet18").card.name == "natural-resnet18"
    seen: list[int] = []

    def counted(self: Loop, parts: object) -> None:
        seen.append(self.run.step)
        original(self, parts)  # type: ignore[arg-type]

    monkeypatch.setattr(Loop, "_step", counted)
    shorter = tmp_path / "shorter.yaml"
    shorter.write_text(TINY.read_text().replace("max_steps: 2", f"max_steps: {step + 2}\n  eval_epochs: 0.2"))
    assert recipes("natural", "--out", tmp_path / "out", "--override", shorter, "--minutes", 5) == 0
    assert seen[0] >= step


def test_a_call_without_any_time_left_stops_cleanly(out: Path, recipes: Recipes) -> None:
    assert recipes("natural", "--out", out, "--minutes", 1e-6) == 75
    assert recipes("natural", "--out", out, "--override", TINY) == 0
    with pytest.raises(ValueError, match="minutes of a call must be greater than 0"):
        recipes("natural", "--out", out, "--minutes", 0)


def test_reports_are_of_the_exported_weights_and_made_once(
    out: Path, recipes: Recipes, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES[1:]:
        shutil.rmtree(out / "models" / name)
    shutil.rmtree(out / "work")
    assert recipes("measure", "--out", out, "--override", TINY, "--device", "cpu") == 0
    assert "images/s forward" in capsys.readouterr().out
    paths = sorted((out / "reports" / NAMES[0]).glob("*.json"))
    assert [path.stem for path in paths] == list(evaluations(Overrides()))
    for path in paths:
        report = Report.load(path)
        assert report.weights == hub.load(out / "models" / NAMES[0]).digest()
        assert report.setup.attack == ("fgsm",)
    before = [path.stat().st_mtime_ns for path in paths]
    assert recipes("measure", "--out", out, "--override", TINY, "--device", "cpu") == 0
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_what_is_absent_is_left_out_and_named(
    out: Path, recipes: Recipes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES[1:]:
        shutil.rmtree(out / "models" / name)
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    own = out / "own.yaml"
    own.write_text(TINY.read_text().replace("fgsm", "autoattack"))
    assert recipes("measure", "--out", out, "--override", own, "--device", "cpu") == 1
    assert "left out: 2-cifar10-autoattack of natural-resnet18: autoattack needs" in capsys.readouterr().out


def test_the_pieces_are_the_models_and_only_new_ones(
    out: Path, tmp_path: Path, recipes: Recipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(travel, "PIECE", 100_000)
    (out / "work" / "packed.json").write_text("{}")
    shutil.rmtree(out / "models" / "natural-resnet18")
    assert recipes("natural", "--out", out, "--override", TINY) == 0
    pieces = sorted((out / "travel").iterdir())
    assert len(pieces) > 1
    assert all(path.stat().st_size <= 100_000 for path in pieces)
    whole = tmp_path / "whole.tar"
    whole.write_bytes(b"".join(path.read_bytes() for path in pieces))
    with tarfile.open(whole) as archive:
        archive.extractall(tmp_path / "home", filter="data")
    for name in NAMES:
        assert hub.load(tmp_path / "home" / "models" / name).digest() == hub.load(out / "models" / name).digest()
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["logs", "models"]
    assert recipes("natural", "--out", out, "--override", TINY) == 0
    assert list((out / "travel").iterdir()) == []


FILES = [path for path in sorted(FOLDER.glob("*/*.yaml")) if path.parent.name != "evaluate"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_command_line_takes_the_files_too(path: Path) -> None:
    objective = path.parent.name
    words = ["train", objective, "--config", str(path), "--out", "out"]
    _, values = cli.parse(words)
    (one,) = [one for one in trainings(path.name.split(".")[0], Overrides()) if one.run == path.stem]
    assert Recipe(**{entry.name: values[entry.name] for entry in dataclasses.fields(Recipe)}) == one.recipe
    assert {name: values[name] for name in one.objective.options()} == one.objective.options()


def test_overrides_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    for text, message in (
        ("- 1", "must hold settings by name"),
        ("train: {}\nmeasured: {}", r"has \['measured'\]"),
        ("train: [", "cannot be read as YAML"),
        ("train: !!python/object/apply:os.getcwd []", "cannot be read as YAML"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            Overrides.load(path)
    with pytest.raises(ValueError, match=r"unknown entries \['speed'\]"):
        trainings("natural-resnet18", Overrides(train={"speed": 1}))
    with pytest.raises(ValueError, match=r"no entries \['speed'\]"):
        evaluations(Overrides(measure={"speed": 1}))
    with pytest.raises(ValueError, match="there is no file OBJECTIVE/none"):
        trainings("none", Overrides())
