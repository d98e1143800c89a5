"""A model that is trained again has the published numbers, unless the recipe is not that of the model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from published_model import MAIN, RECIPE, changed

from robustfeat.command_line.cli import main
from robustfeat.features import hub, shipped
from robustfeat.publishing import remeasured as reproduce
from robustfeat.publishing.publication import publish
from robustfeat.report import Report
from robustfeat.training.loop import Loop, train


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
    assert report.setup == MAIN.setup()
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


@pytest.mark.slow
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
    steps = card.training.steps
    assert steps >= 1
    monkeypatch.setattr(shipped, "home", lambda: models)
    found = reproduce.full("gacd-tiny", tmp_path / "out", spread=1)
    again = hub.read_card(tmp_path / "out" / "run" / "last")
    assert again.training.step == steps
    assert again.teacher.sha256 == again.start.sha256 == card.start.sha256
    assert found.notes[0] == f"trained for {steps} steps, as many as there were in the recorded 0.01 minutes"
    assert found.agrees
    # Other weights of the same name are noticed.
    other = hub.load_network(published)[0]
    with torch.no_grad():
        next(other.parameters()).mul_(2)
    hub.save(models / "at-tiny", other, dataclasses.replace(teacher, weights=None))
    notes = reproduce.full("gacd-tiny", tmp_path / "other", spread=1).notes
    assert notes[1].startswith("the teacher at-tiny has other weights here")
    assert notes[2].startswith("the start at-tiny has other weights here")
