"""Numbers reach a card only when they are of its weights and no flag says that they flatter."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from robustfeat import hub
from robustfeat.attacks.health import Flag
from robustfeat.card import Card
from robustfeat.cli import main
from robustfeat.fixture import fixture_images
from robustfeat.publish import publish
from robustfeat.recipe import Recipe
from robustfeat.report import Report
from robustfeat.reproduce import same_features
from robustfeat.tasks import Evaluation
from robustfeat.testing import small_network
from robustfeat.types import Eps

FLAG = Flag("zero gradients", 0.5, 0.02, "of the images had a gradient of exactly 0")
EVALUATION = Evaluation(
    data="digits", train="train[:100]", task=("probe",), attack=("pgd",), eps=Eps(0.1), steps=10, limit=30, examined=4
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network = small_network(0)
    hub.save(tmp_path / "model", network, Card("small", network.architecture, network.feature_dim), half=True)
    return tmp_path / "model"


@pytest.fixture
def report(model: Path) -> Report:
    return EVALUATION.run(hub.load(model), progress=False)


def as_published(report: Report) -> Report:
    return dataclasses.replace(report, model="small", cases={})


def test_a_healthy_report_is_published(model: Path, report: Report) -> None:
    before = hub.read_card(model)
    card = publish(model, [report])
    assert card == hub.read_card(model)
    assert card == dataclasses.replace(before, reports=(as_published(report),), fixture=card.fixture)
    assert card.flags == ()
    assert card.reports[0].setup["train"] == "train[:100]"
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
        curve.value("probe", "accuracy", "pgd@0.05"),
        other.value("retrieval", "map@r", "pgd"),
    ):
        assert f"{number:.3f}" in page
    # Once more is in the place of everything, but for what was written by hand.
    assert main(["publish", str(model), paths[2]]) == 0
    assert hub.read_card(model).reports == (as_published(other),)
    assert hub.read_card(model).limits == ("Digits only.", "Tiny.")
    assert f"{curve.value('probe', 'accuracy', 'pgd@0.05'):.3f}" not in (model / "README.md").read_text()


def test_contradictions_are_refused(model: Path, report: Report) -> None:
    """Of the same images under the same attack; another attack of the same name, or other images, are no contradiction."""
    first, *rest = report.rows
    other = dataclasses.replace(report, rows=(dataclasses.replace(first, value=first.value - 0.1), *rest))
    with pytest.raises(
        ValueError, match=r"two reports on digits say .* for probe accuracy under none on the same images"
    ):
        publish(model, [report, other])
    assert publish(model, [report, report]).reports == (as_published(report),) * 2
    data = report.data | {"test": report.data["test"] | {"fingerprint": "other"}}
    assert len(publish(model, [report, dataclasses.replace(other, data=data)]).reports) == 2
    weaker = (report.rows[0], dataclasses.replace(report.rows[1], value=report.rows[1].value + 0.1))
    assert publish(model, [report, dataclasses.replace(report, rows=weaker, attacks={"pgd": "PGD(steps=1)"})]).reports


def test_numbers_on_patch_features_are_published(model: Path) -> None:
    """They are of the same weights, and no contradiction to what the other features give."""
    chosen = dataclasses.replace(EVALUATION, task=("retrieval",), attack=(), limit=10)
    plain = chosen.run(hub.load(model), progress=False)
    patches = dataclasses.replace(chosen, patches=True).run(hub.load(model), progress=False)
    assert patches.weights != plain.weights
    worse = dataclasses.replace(patches, rows=tuple(dataclasses.replace(row, value=0.01) for row in plain.rows))
    card = publish(model, [plain, worse])
    assert [each.setup["patches"] for each in card.reports] == [False, True]
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
        hub.read_card(model), recipe=recipe, data={"name": "/home/me/cats"}, teacher={"name": "at-x", "sha256": "0"}
    )
    (model / "card.json").write_text(card.to_json())
    told = dataclasses.replace(
        report,
        model="/home/me/runs/model",
        command={"out": "/home/me/report.json"},
        setup=report.setup
        | {"data": "/home/me/cats", "source": "../runs/other", "task": ["head:/home/me/runs/teacher"]},
        data={kind: facts | {"name": "/home/me/cats"} for kind, facts in report.data.items()},
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
    assert (published.setup["data"], published.setup["task"]) == ("cats", ["head:teacher"])
    assert (published.setup["train"], published.setup["eps"]) == ("train[:100]", "0.1"), "what is no path stays"
    assert {row.task for row in published.rows} == {run.task for run in published.runs} == {"head:teacher"}


def test_the_fixture_is_the_features_of_the_formula(model: Path, report: Report) -> None:
    """Image by image and by hand, in double precision."""
    card = publish(model, [report])
    images = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    for k in range(2):
        for c in range(3):
            for y in range(8):
                for x in range(8):
                    wave = math.sin(2 * math.pi * ((k + 1) * x + (c + 1) * y) / 8 + c + 0.3)
                    images[k, c, y, x] = round(127.5 * (wave + 1)) / 255
    assert torch.allclose(fixture_images(8).double(), images, atol=1e-7, rtol=0)
    network = hub.load(model).network.double()
    with torch.no_grad():
        maps = network.model.forward_features((images - network.mean) / network.std)
        features = network.model.forward_head(maps, pre_logits=True)
    for i in range(2):
        expected = features[i][card.fixture["positions"]]
        assert card.fixture["features"][i] == pytest.approx(expected.tolist(), rel=1e-6, abs=1e-6)
        assert card.fixture["norms"][i] == pytest.approx(math.sqrt(sum(v * v for v in features[i].tolist())), rel=1e-6)
    assert len(set(card.fixture["positions"])) == 16


def test_the_fixture_is_compared_in_double_precision(
    model: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read back as float32, the same features would be 1e-8 off."""
    publish(model, [report])
    monkeypatch.setattr("robustfeat.fixture.EXACT", 1e-12)
    assert same_features(hub.load(model))


def test_same_features_sees_another_model(model: Path, report: Report) -> None:
    publish(model, [report])
    extractor = hub.load(model)
    assert same_features(extractor)
    with torch.no_grad():
        extractor.network.model.get_parameter("body.0.weight").mul_(1 + 2e-5)  # seen in double precision only
    assert not same_features(extractor)
    extractor = hub.load(model)
    extractor.network.mean += 1e-4  # the normalisation is part of it
    assert not same_features(extractor)
    for cut in ({"norms": [1.0, 1.0]}, {"positions": list(range(16))}):
        extractor = hub.load(model)
        extractor.card = dataclasses.replace(extractor.card, fixture=extractor.card.fixture | cut)
        assert not same_features(extractor)
    extractor.card = dataclasses.replace(extractor.card, fixture={})
    with pytest.raises(ValueError, match="holds no features to compare with"):
        same_features(extractor)


@pytest.mark.parametrize("side", [8, 28, 32, 64, 224])
def test_no_value_of_the_images_is_decided_by_rounding(side: int) -> None:
    """Of another processor's sine: every value before rounding is far from the middle between two steps."""
    values = fixture_images(side).double() * 255
    assert (values - values.round()).abs().max() < 1e-4
    axis = torch.arange(side, dtype=torch.float64) / side
    y, x = axis[:, None], axis[None]
    for k in (1, 2):
        for c in range(3):
            exact = 127.5 * (torch.sin(2 * math.pi * (k * x + (c + 1) * y) + c + 0.3) + 1)
            assert ((exact - exact.floor()) - 0.5).abs().min() > 1e-9


def test_a_card_that_can_not_be_written_is_as_it_was(
    model: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (model / "card.json").read_text()
    monkeypatch.setattr(Card, "readme", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish(model, [report])
    assert json.loads((model / "card.json").read_text()) == json.loads(before)
