"""What several tests of evaluations share."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the bootstrap, which takes most of the time here."""
    monkeypatch.setattr(sys.modules["robustfeat.evaluation.measure"], "bootstrap", lambda *_: {})
