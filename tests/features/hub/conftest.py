"""A saved model, and copies of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from trained_network import trained

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.report import Report, Row, Splits


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; tests that damage it take a copy."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    network = trained()
    card = Card(
        "tiny",
        network.architecture,
        network.feature_dim,
        objective="at",
        options={"label_smoothing": 0.1},
        recipe=Recipe(eps=Eps("4/255"), step_size=Eps(0.01)),
        reports=(
            Report("tiny", Splits(), "none", (Row("probe", "accuracy", "none", None, "", 0.5, 0.4, 0.6, 100, 1.5),)),
        ),
        classes=("a", "b", "c", "d"),
    )
    hub.save(folder, network, card)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))
