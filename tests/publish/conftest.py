"""A model, and a report of its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from quick_evaluation import EVALUATION

from robustfeat import hub
from robustfeat.card import Card
from robustfeat.report import Report
from robustfeat.testing import small_network


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network = small_network(0)
    hub.save(tmp_path / "model", network, Card("small", network.architecture, network.feature_dim), half=True)
    return tmp_path / "model"


@pytest.fixture
def report(model: Path) -> Report:
    return EVALUATION.run(hub.load(model), progress=False)
