"""Numbers reach a card only when they are of its weights and no flag says that they flatter."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from quick_evaluation import EVALUATION

from robustfeat.attacks.flag import Flag
from robustfeat.command_line.cli import main
from robustfeat.features import hub
from robustfeat.features.card import Card, ModelRef
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.publishing.publication import publish
from robustfeat.report import DataFacts, Report, Sized, Splits

FLAG = Flag("zero gradients", 0.5, 0.02, "of the images had a gradient of exactly 0")


def as_published(report: Report) -> Report:
    return dataclasses.replace(report, model="small", cases={})


def test_a_healthy_report_is_published(model: Path, report: Report) -> None:
    before = hub.read_card(model)
    card = publish(model, [report])
    assert card == hub.read_card(model)
    assert card == dataclasses.replace(before, reports=(as_published(report),), fixture=card.fixture)
    assert card.flags == ()
    assert card.reports[0].setup.train == "train[:100]"
    assert f"{report.value('probe', 'accuracy', 'pgd'):.3f}" in (model / "README.md").read_text()
    assert hub.load(model).card.reports[0].rows == report.rows


def test_several_reports_make_one_card(model: Path, report: Report, tmp_path: Path) -> None:
    extractor = hub.load(model)
    curve = dataclasses.replace(EVALUATION, curve="0.05,0.1", limit=20).run(extractor, progress=False)
    other = dataclasses.replace(EVALUATION, train="train[100:200]", task=("retrieval",)).run(extractor, progress=False)
    paths = [str(tmp_path / f"{i}.json") for i in range(3)]
    for path, each in zip(paths, (report, curve, other), strict=True):
        each.save(path)
    assert main(["publish", str(model), *paths, "--limits", "Digits only.", "--limits", "Tiny."]) == 0
    card = hub.read_card(model)
    assert card.reports == tuple(map(as_published, (report, curve, other)))
    assert card.limits == ("Digits only.", "Tiny.")
    page = (model / "README.md").read_text()
    for number in (
        report.value("probe", "accuracy", "pgd"),
        curve.value("probe", "accuracy", "pgd", 0.05),
        other.value("retrieval", "map@r", "pgd"),
    ):
        assert f"{number:.3f}" in page
    # Once more is in the place of everything, but for what was written by hand.
    assert main(["publish", str(model), paths[2]]) == 0
    assert hub.read_card(model).reports == (as_published(other),)
    assert hub.read_card(model).limits == ("Digits only.", "Tiny.")
    assert f"{curve.value('probe', 'accuracy', 'pgd', 0.05):.3f}" not in (model / "README.md").read_text()


def test_contradictions_are_refused(model: Path, report: Report) -> None:
    """Of the same images under the same attack; another attack of the same name, or other images, are no contradiction."""
    first, *rest = report.rows
    other = dataclasses.replace(report, rows=(dataclasses.replace(first, value=first.value - 0.1), *rest))
    with pytest.raises(
        ValueError, match=r"two reports on digits say .* for probe accuracy under none on the same images"
    ):
        publish(model, [report, other])
    assert publish(model, [report, report]).reports == (as_published(report),) * 2
    data = dataclasses.replace(report.data, test=dataclasses.replace(report.data.test, fingerprint="other"))
    assert len(publish(model, [report, dataclasses.replace(other, data=data)]).reports) == 2
    weaker = (report.rows[0], dataclasses.replace(report.rows[1], value=report.rows[1].value + 0.1))
    assert publish(
        model, [report, dataclasses.replace(report, rows=weaker, attacks={Sized("pgd", Eps(0.1)): "PGD(steps=1)"})]
    ).reports


def test_numbers_on_patch_features_are_published(model: Path) -> None:
    """They are of the same weights, and no contradiction to what the other features give."""
    chosen = dataclasses.replace(EVALUATION, task=("retrieval",), attack=(), limit=10)
    plain = chosen.run(hub.load(model), progress=False)
    patches = dataclasses.replace(chosen, patches=True).run(hub.load(model), progress=False)
    assert patches.weights != plain.weights
    worse = dataclasses.replace(patches, rows=tuple(dataclasses.replace(row, value=0.01) for row in plain.rows))
    card = publish(model, [plain, worse])
    assert [each.setup.patches for each in card.reports] == [False, True]
    with pytest.raises(ValueError, match="two reports on digits say"):
        publish(model, [patches, worse])
    for wrong in (dataclasses.replace(patches, setup=plain.setup), dataclasses.replace(plain, setup=patches.setup)):
        with pytest.raises(ValueError, match="of other weights"):
            publish(model, [wrong])


def test_a_flagged_report_is_refused(
    model: Path, report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flagged = dataclasses.replace(report, runs=(dataclasses.replace(report.runs[0], flags=(FLAG,)),))
    report.save(tmp_path / "healthy.json")
    flagged.save(tmp_path / "report.json")
    before = (model / "card.json").read_bytes(), (model / "README.md").read_bytes()
    command = ["publish", str(model), str(tmp_path / "healthy.json"), str(tmp_path / "report.json")]
    assert main(command) == 2
    assert "digits, probe under pgd: zero gradients: 0.5 of the images had" in capsys.readouterr().err
    assert before == ((model / "card.json").read_bytes(), (model / "README.md").read_bytes())

    assert main([*command, "--force"]) == 0
    (flag,) = hub.read_card(model).flags
    assert flag.startswith("probe under pgd: zero gradients")
    assert flag in (model / "README.md").read_text()


def test_a_report_that_nobody_checked_is_refused(model: Path, report: Report) -> None:
    unchecked = dataclasses.replace(report, runs=(dataclasses.replace(report.runs[0], examined=0),))
    with pytest.raises(ValueError, match="probe under pgd: not checked"):
        publish(model, [unchecked])
    assert publish(model, [unchecked], force=True).flags == ("probe under pgd: not checked for masked gradients",)
    with pytest.raises(ValueError, match="probe accuracy under pgd: not checked"):
        publish(model, [dataclasses.replace(report, runs=())])


def test_a_report_of_other_weights_is_refused(model: Path, report: Report) -> None:
    extractor = hub.load(model)
    with torch.no_grad():
        next(extractor.parameters()).add_(1e-3)
    hub.save(model, extractor.network, extractor.card)
    with pytest.raises(ValueError, match="of other weights"):
        publish(model, [report])
    with pytest.raises(ValueError, match="at least one"):
        publish(model, [])
    with pytest.raises(ValueError, match="is on the Hub"):
        publish("hf:org/repo", [report])


def test_nothing_says_where_it_was_made(model: Path, report: Report, tmp_path: Path) -> None:
    """Paths that a report or a recipe may hold, and the machine's name."""
    recipe = Recipe(data="/home/me/cats", teacher="/home/me/runs/teacher", start="~/runs/start")
    card = dataclasses.replace(
        hub.read_card(model), recipe=recipe, data=DataFacts("/home/me/cats", 9), teacher=ModelRef("at-x", "0")
    )
    (model / "card.json").write_text(card.to_json())
    told = dataclasses.replace(
        report,
        model="/home/me/runs/model",
        setup=dataclasses.replace(
            report.setup,
            data="/home/me/cats",
            source="../runs/other",
            task=("head:/home/me/runs/teacher",),
            model="/home/me/runs/model",
            records="/home/me/records",
        ),
        data=Splits(**{kind: dataclasses.replace(facts, name="/home/me/cats") for kind, facts in report.data.known()}),
        rows=tuple(dataclasses.replace(row, task="head:/home/me/runs/teacher") for row in report.rows),
        runs=tuple(dataclasses.replace(run, task="head:/home/me/runs/teacher") for run in report.runs),
    )
    card = publish(model, [told])
    text = (model / "card.json").read_text() + (model / "README.md").read_text()
    for secret in ("/home", "/me", "~", "runs/other", str(tmp_path)):
        assert secret not in text, secret
    assert card.recipe is not None
    assert (card.recipe.data, card.recipe.teacher, card.recipe.start) == ("cats", "at-x", "start")
    (published,) = card.reports
    assert published.measured_on == "cats"
    assert (published.setup.data, published.setup.task) == ("cats", ("head:teacher",))
    assert (published.setup.train, published.setup.eps) == ("train[:100]", 0.1), "what is no path stays"
    assert {row.task for row in published.rows} == {run.task for run in published.runs} == {"head:teacher"}


def test_a_card_that_can_not_be_written_is_as_it_was(
    model: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (model / "card.json").read_text()
    monkeypatch.setattr(Card, "readme", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish(model, [report])
    assert json.loads((model / "card.json").read_text()) == json.loads(before)
