"""Published numbers come out again for the model they are of, and not for another one; without crying wolf."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import robustfeat
from robustfeat import affordable as affordable_module
from robustfeat import hub, reproduce
from robustfeat.affordable import affordable
from robustfeat.card import Card
from robustfeat.cli import main
from robustfeat.errors import IntegrityError
from robustfeat.publish import publish
from robustfeat.recipe import Recipe
from robustfeat.report import Ran, Report
from robustfeat.tasks import Evaluation
from robustfeat.testing import small_network
from robustfeat.train import Loop, train
from robustfeat.types import Eps, Row

MAIN = Evaluation(
    data="digits", train="train[:300]", task=("probe", "retrieval"), attack=("fgsm", "pgd"), eps=Eps(0.05), steps=4, limit=120,
    batch_size=50, examined=0,
)  # fmt: skip
CURVE = dataclasses.replace(MAIN, task=("head",), attack=("pgd",), curve="0.02,0.05", limit=80, seed=3)
SIDES = dataclasses.replace(MAIN, task=("anomaly",), attack=("pgd",), steps=1, limit=40, seed=3)
RECIPE = Recipe(
    data="digits", train="train[:400]", held_out="train[400:450]", student="cnn_tiny", stem="timm", eps=Eps(0.1), steps=2,
    step_size=Eps(0.05), max_steps=40, batch_size=32, crop=1, flip=False, channels_last=False, eval_steps=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained, and measured twice."""
    folder = tmp_path_factory.mktemp("published") / "tiny"
    shutil.copytree(train("at", RECIPE, folder.parent / "run", quiet=True), folder)
    extractor = hub.load(folder)
    publish(folder, [each.run(extractor, progress=False) for each in (MAIN, CURVE, SIDES)], force=True)
    return folder


@pytest.fixture
def wrong(published: Path, tmp_path: Path) -> Path:
    """The card of that model, with the weights of another one."""
    card = hub.read_card(published)
    hub.save(tmp_path / "wrong", small_network(1, classes=10), dataclasses.replace(card, name="wrong"))
    return tmp_path / "wrong"


def changed(published: Path, folder: Path, **changes: Any) -> Path:
    """A copy of the model with another card."""
    shutil.copytree(published, folder, dirs_exist_ok=True)
    card = dataclasses.replace(hub.read_card(published), **changes)
    (folder / "card.json").write_text(card.to_json())
    return folder


def test_all_images_give_the_same_numbers(published: Path, tmp_path: Path) -> None:
    """Every number, of every report, metric, attack and size; and once more from the kept batches."""
    found = reproduce.quick(str(published), limit=500, minutes=60, out=tmp_path / "out")
    rows = [row for report in hub.read_card(published).reports for row in report.rows]
    assert [number.published for number in found.numbers] == rows
    assert {row.attack for row in rows} >= {"none", "fgsm", "pgd/normal", "pgd@0.02", "pgd@0.05"}
    for number in found.numbers:
        assert number.low is not None
        assert dataclasses.replace(number.found, seconds=number.published.seconds) == number.published
        assert not number.outside
    assert found.agrees
    assert found.same_features is True
    assert found.notes == ()
    kept = sorted((tmp_path / "out" / "records").rglob("*.safetensors"))
    assert kept
    times = [path.stat().st_mtime_ns for path in kept]
    again = reproduce.quick(str(published), limit=500, minutes=60, out=tmp_path / "out")
    assert [n.found.value for n in again.numbers] == [n.found.value for n in found.numbers]
    assert [path.stat().st_mtime_ns for path in kept] == times, "finished batches are not made again"


def test_a_sample_of_the_right_model_agrees(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(published), "--quick", "--limit", "30"]) == 0
    out, err = capsys.readouterr()
    assert "digits: retrieval, clean, fgsm, pgd" in err
    lines = [line.split() for line in out.splitlines() if line.startswith("digits")]
    assert [line[-1] for line in lines] == ["inside"] * len(lines)
    card = hub.read_card(published)
    value = card.reports[0].value("probe", "accuracy", "pgd")
    (line,) = [line for line in lines if line[1:4] == ["probe", "accuracy", "pgd"]]
    assert line[4:6] == [f"{value:.3f}", "120"]
    assert line[7] == "30"
    assert "aupr-normal" not in [line[2] for line in lines], "it depends on how many images there are"
    assert "aupr, aupr-normal, tnr@95: depend on how many images there are" in out
    assert "two synthetic images: the features of the card" in out
    assert "numbers compared, 0 outside" in out


def test_another_model_does_not(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(wrong), "--quick", "--limit", "60", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["same_features"] is False
    assert found["agrees"] is False
    outside = {(n["published"]["task"], n["published"]["attack"]) for n in found["numbers"] if n["outside"]}
    assert ("probe", "pgd") in outside
    assert ("head", "none") in outside, "the other reports are looked at as well"
    for n in found["numbers"]:
        assert n["outside"] == (n["low"] is not None and not n["low"] <= n["found"]["value"] <= n["high"])
    assert main(["reproduce", str(wrong), "--quick", "--limit", "60", "--minutes", "0"]) == 1
    assert "OUTSIDE" in capsys.readouterr().out


def test_numbers_that_were_made_up_are_found(published: Path, tmp_path: Path) -> None:
    """Of the right weights: one number is two images better than it is, which is slack (1 % of 120), or three."""
    report = hub.read_card(published).reports[0]
    place = next(i for i, row in enumerate(report.rows) if (row.task, row.attack) == ("probe", "pgd"))
    for images, agrees in ((2, True), (3, False)):
        rows = list(report.rows)
        rows[place] = dataclasses.replace(rows[place], value=rows[place].value + images / 120)
        folder = changed(published, tmp_path / "model", reports=(dataclasses.replace(report, rows=tuple(rows)),))
        assert reproduce.quick(str(folder), limit=120).agrees is agrees


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


def test_other_images_are_refused(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = hub.read_card(published).reports[0]
    for kind in ("train", "test"):
        data = report.data | {kind: report.data[kind] | {"fingerprint": "f" * 64}}
        folder = changed(published, tmp_path / "model", reports=(dataclasses.replace(report, data=data),))
        with pytest.raises(IntegrityError, match=f"the {kind} images of 'digits' here .* are not those that were used"):
            reproduce.quick(str(folder), limit=20)
        with pytest.raises(IntegrityError, match=f"the {kind} images"):
            reproduce.full(str(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists(), "nothing was trained for it"
    assert main(["reproduce", str(folder), "--quick"]) == 3
    capsys.readouterr()


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


def test_what_a_user_can_get_wrong(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, other, *_ = hub.read_card(published).reports
    silent = dataclasses.replace(report, setup={})
    bare = changed(published, tmp_path / "bare", reports=(silent,))
    for arguments, message in (
        ([str(published)], "either --quick or --full"),
        ([str(published), "--quick", "--full"], "either --quick or --full"),
        ([str(published), "--full"], "give one with --out"),
        ([str(published), "--quick", "--limit", "0"], "limit must be at least 1"),
        ([str(published), "--quick", "--minutes", "-1"], "minutes not negative"),
        ([str(published), "--full", "--out", "x", "--spread=-1"], "spread must not be negative"),
        ([str(published), "--full", "--out", str(tmp_path / "x"), "--limit", "0"], "limit must be at least 1, got 0"),
        ([str(bare), "--quick"], "no published numbers that say how they were measured"),
        (["no-such-model", "--quick"], "unknown model 'no-such-model'"),
    ):
        assert main(["reproduce", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists(), "nothing was trained for it"
    changed(published, bare, reports=(other, silent), recipe=None)
    assert reproduce.quick(str(bare), limit=20, minutes=0).notes[-1] == (
        "left out: a report on digits that does not say how it was made"
    )
    assert main(["reproduce", str(bare), "--full", "--out", str(tmp_path / "o")]) == 2
    assert "there is no recipe to repeat" in capsys.readouterr().err


def test_full_trains_the_same_model_again(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the same processor and versions to the same weights, so that every number is the same."""
    folder = changed(published, tmp_path / "model", reports=hub.read_card(published).reports[:2])
    command = ["reproduce", str(folder), "--full", "--out", str(tmp_path / "out"), "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["numbers"]) == sum(len(report.rows) for report in hub.read_card(folder).reports)
    for number in found["numbers"]:
        assert number["found"]["value"] == number["published"]["value"]
        low, high = (number["published"][end] for end in ("low", "high"))
        assert (number["low"], number["high"]) == (max(0, low - 0.02), min(1, high + 0.02))
    assert "another run of the same recipe, not the published model" in found["notes"][-1]
    report = Report.load(tmp_path / "out" / "report-0.json")
    assert report.setup == MAIN.as_dict()
    assert report.weights == hub.load(tmp_path / "out" / "run").digest()
    # A second call has nothing left to train.
    monkeypatch.setattr(Loop, "_step", lambda self, parts: pytest.fail("it trains again"))
    assert main(command) == 0


def test_full_sees_another_recipe(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hardly trained, the model is worse than the card says; fewer images widen the interval by their own uncertainty."""
    hardly = dataclasses.replace(RECIPE, max_steps=1)
    folder = changed(published, tmp_path / "model", recipe=hardly, reports=hub.read_card(published).reports[1:2])
    assert main(["reproduce", str(folder), "--full", "--limit", "30", "--out", str(tmp_path / "out"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    for number in found["numbers"]:
        assert number["found"]["n"] == 30
        half = (number["found"]["high"] - number["found"]["low"]) / 2
        assert number["low"] == pytest.approx(max(0, number["published"]["low"] - 0.02 - half))
        assert number["high"] == pytest.approx(min(1, number["published"]["high"] + 0.02 + half))
    assert any(number["outside"] for number in found["numbers"])


def test_full_compares_no_metric_that_depends_on_how_many_images_there_are(published: Path, tmp_path: Path) -> None:
    """Of fewer images; of all of them it does."""
    (sides,) = hub.read_card(published).reports[2:]
    folder = changed(published, tmp_path / "model", reports=(sides,))
    for limit, compared in ((20, {"auroc"}), (None, {row.metric for row in sides.rows})):
        found = reproduce.full(str(folder), tmp_path / "out" / str(limit), limit=limit)
        assert [number.published for number in found.numbers] == list(sides.rows)
        assert {number.published.metric for number in found.numbers if number.low is not None} == compared
    assert len(compared) == 4


def test_full_of_a_student_counts_steps_and_finds_its_teacher(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Minutes of another machine are not minutes of this one; teachers are known by name."""
    models = tmp_path / "models"
    shutil.copytree(published, models / "at-tiny")
    teacher = dataclasses.replace(hub.read_card(published), name="at-tiny")
    (models / "at-tiny" / "card.json").write_text(teacher.to_json())
    source = str(models / "at-tiny")
    recipe = dataclasses.replace(RECIPE, teacher=source, start=source, max_steps=None, minutes=0.01, eval_minutes=1)
    folder = models / "gacd-tiny"
    shutil.copytree(train("gacd", recipe, tmp_path / "run", quiet=True), folder)
    evaluation = dataclasses.replace(MAIN, task=("probe",), attack=(), limit=20)
    card = publish(folder, [evaluation.run(hub.load(folder), progress=False)])
    assert card.recipe is not None
    assert (card.recipe.teacher, card.recipe.start, card.recipe.minutes) == ("at-tiny", "at-tiny", 0.01)
    steps = card.training["steps"]
    assert steps >= 1
    monkeypatch.setattr(hub, "_published", lambda: models)
    found = reproduce.full("gacd-tiny", tmp_path / "out", spread=1)
    again = hub.read_card(tmp_path / "out" / "run" / "last")
    assert again.training["step"] == steps
    assert again.teacher["sha256"] == again.start["sha256"] == card.start["sha256"]
    assert found.notes[0] == f"trained for {steps} steps, as many as there were in the recorded 0.01 minutes"
    assert found.agrees
    # Other weights of the same name are noticed.
    other = hub.load_network(published)[0]
    with torch.no_grad():
        next(other.parameters()).mul_(2)
    hub.save(models / "at-tiny", other, dataclasses.replace(teacher, weights={}))
    notes = reproduce.full("gacd-tiny", tmp_path / "other", spread=1).notes
    assert notes[1].startswith("the teacher at-tiny has other weights here")
    assert notes[2].startswith("the start at-tiny has other weights here")


@pytest.mark.parametrize("name", [*robustfeat.models(), None])
def test_published_models_have_the_features_that_they_had(name: str | None, published: Path) -> None:
    """None is a model that was published just now, so that there is a case."""
    extractor = robustfeat.load(published if name is None else name)
    assert reproduce.same_features(extractor)


def test_a_model_without_a_fixture_is_measured_all_the_same(published: Path, tmp_path: Path) -> None:
    found = reproduce.quick(str(changed(published, tmp_path / "model", fixture={})), limit=20, minutes=0)
    assert found.same_features is None
    assert found.agrees


def test_nothing_of_this_touches_the_model(published: Path) -> None:
    before = {path.name: path.read_bytes() for path in published.iterdir()}
    state = torch.get_rng_state()
    reproduce.quick(str(published), limit=20, minutes=0)
    assert {path.name: path.read_bytes() for path in published.iterdir()} == before
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(hub.read_card(published), Card)
