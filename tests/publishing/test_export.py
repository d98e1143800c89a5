"""A model under another name, and in half precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from robustfeat.command_line import cli
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.parts import WEIGHTS
from robustfeat.publishing.exported import export
from robustfeat.report import Report, Splits
from robustfeat.testing import small_network


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with something measured."""
    network = small_network(0)
    report = Report("trained", Splits(), "none", ())
    card = Card("trained", network.architecture, network.feature_dim, objective="at", reports=(report,))
    hub.save(tmp_path / "trained", network, card)
    return tmp_path / "trained"


def test_another_name_and_the_same_weights(model: Path, tmp_path: Path) -> None:
    card = export(model, tmp_path / "other")
    assert (card.name, card.objective, len(card.reports)) == ("other", "at", 1)
    assert hub.load(tmp_path / "other").digest() == hub.load(model).digest()
    assert hub.load(tmp_path / "other").card == card


def test_half_precision_rounds_each_weight_once(model: Path, tmp_path: Path) -> None:
    card = export(model, tmp_path / "half", half=True)
    assert (card.weights.dtype, card.reports) == ("float16", ())
    whole, stored = load_file(model / WEIGHTS), load_file(tmp_path / "half" / WEIGHTS)
    for key, value in whole.items():
        if value.is_floating_point():
            assert stored[key].dtype == torch.float16
            torch.testing.assert_close(stored[key].float(), value, rtol=2**-11, atol=2**-25)
    assert (tmp_path / "half" / WEIGHTS).stat().st_size < (model / WEIGHTS).stat().st_size
    extractor = hub.load(tmp_path / "half")
    assert {value.dtype for value in extractor.parameters()} == {torch.float32}

    hub.save(
        tmp_path / "half", extractor.network, replace(card, reports=(Report("half", Splits(), "none", ()),)), half=True
    )
    again = export(tmp_path / "half", tmp_path / "again", half=True)
    assert len(again.reports) == 1, "nothing is rounded, so what was measured holds"
    assert again.weights.sha256 == card.weights.sha256


def test_what_can_not_be_exported_is_said(model: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="holds a model already"):
        export(model, model)
    network, card = hub.load_network(model)
    with torch.no_grad():
        next(network.model.parameters()).mul_(1e9)
    hub.save(tmp_path / "large", network, card)
    with pytest.raises(ValueError, match="too large for half precision"):
        export(tmp_path / "large", tmp_path / "half", half=True)
    assert not (tmp_path / "half").exists()


def test_the_command(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(model), str(tmp_path / "mine"), "--half"]) == 0
    assert "float16" in capsys.readouterr().out
    assert hub.load(tmp_path / "mine").card.name == "mine"
