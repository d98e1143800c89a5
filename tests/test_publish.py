"""Numbers reach a card only when they are of its weights and no flag says that they flatter."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from robustfeat import hub
from robustfeat.attacks import PGD, Threat
from robustfeat.attacks.health import Flag
from robustfeat.card import Card
from robustfeat.cli import main
from robustfeat.data import dataset
from robustfeat.publish import publish
from robustfeat.report import Report
from robustfeat.tasks import evaluate
from robustfeat.testing import small_network

FLAG = Flag("zero gradients", 0.5, 0.02, "of the images had a gradient of exactly 0")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network = small_network(0)
    hub.save(tmp_path / "model", network, Card("small", network.architecture, network.feature_dim), half=True)
    return tmp_path / "model"


@pytest.fixture
def report(model: Path) -> Report:
    data = dataset("digits", "train[:100]"), dataset("digits", "test[:30]")
    return evaluate(hub.load(model), ["probe"], *data, [PGD(Threat("linf", 0.1), steps=10)], examined=4, progress=False)


def test_a_healthy_report_is_published(model: Path, report: Report) -> None:
    before = hub.read_card(model)
    card = publish(model, report)
    assert card == hub.read_card(model)
    measured = {"train": "100 images of digits", "test": "30 images of digits"}
    assert card == dataclasses.replace(before, results=report.rows, measured=measured, attacks=report.attacks)
    assert f"{report.value('probe', 'accuracy', 'pgd'):.3f}" in (model / "README.md").read_text()
    assert hub.load(model).card.results == report.rows


def test_a_flagged_report_is_refused(
    model: Path, report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flagged = dataclasses.replace(report, runs=(dataclasses.replace(report.runs[0], flags=(FLAG,)),))
    flagged.save(tmp_path / "report.json")
    before = (model / "card.json").read_bytes(), (model / "README.md").read_bytes()
    assert main(["publish", str(model), str(tmp_path / "report.json")]) == 2
    assert "probe under pgd: zero gradients: 0.5 of the images had" in capsys.readouterr().err
    assert before == ((model / "card.json").read_bytes(), (model / "README.md").read_bytes())

    assert main(["publish", str(model), str(tmp_path / "report.json"), "--force"]) == 0
    (flag,) = hub.read_card(model).flags
    assert flag.startswith("probe under pgd: zero gradients")
    assert flag in (model / "README.md").read_text()


def test_a_report_that_nobody_checked_is_refused(model: Path, report: Report) -> None:
    unchecked = dataclasses.replace(report, runs=(dataclasses.replace(report.runs[0], examined=0),))
    with pytest.raises(ValueError, match="probe under pgd: not checked"):
        publish(model, unchecked)
    assert publish(model, unchecked, force=True).flags == ("probe under pgd: not checked for masked gradients",)


def test_a_report_of_other_weights_is_refused(model: Path, report: Report) -> None:
    extractor = hub.load(model)
    with torch.no_grad():
        next(extractor.parameters()).add_(1e-3)
    hub.save(model, extractor.network, extractor.card)
    with pytest.raises(ValueError, match="of other weights"):
        publish(model, report)
