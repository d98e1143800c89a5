"""A model, and a report of its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from quick_evaluation import EVALUATION
from small_model import small_model

from robustfeat.features import hub
from robustfeat.report import Report


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_model(tmp_path / "model", half=True)


@pytest.fixture
def report(model: Path) -> Report:
    return EVALUATION.run(hub.load(model), progress=False)
