"""A published model, which no test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from published_model import CURVE, MAIN, RECIPE, SIDES

from robustfeat.features import hub
from robustfeat.publishing.publication import publish
from robustfeat.training.loop import train


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained, and measured twice."""
    folder = tmp_path_factory.mktemp("published") / "tiny"
    shutil.copytree(train("at", RECIPE, folder.parent / "run", quiet=True), folder)
    extractor = hub.load(folder)
    publish(folder, [each.run(extractor, progress=False) for each in (MAIN, CURVE, SIDES)], force=True)
    return folder
