"""The self-test runs here as it does for a user, and says what is wrong where something is."""

from __future__ import annotations

import re

import pytest
import torch

from robustfeat.attacks import PGD
from robustfeat.command_line import doctor
from robustfeat.tasks import LinearProbe


def test_the_self_test_passes() -> None:
    facts = doctor.doctor()
    assert re.fullmatch(r"passed in \d+\.\d s", facts["self-test"])
    assert torch.__version__.startswith(facts["torch"])
    assert "gacd-resnet18" in facts["published models"]


@pytest.mark.usefixtures("_as_installed")
def test_a_probe_that_errs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every prediction turned round: what must be 1 is 0."""
    right = LinearProbe._evidence
    monkeypatch.setattr(LinearProbe, "_evidence", lambda self, features: -right(self, features))
    assert doctor.doctor()["self-test"].startswith("FAILED: RuntimeError: clean accuracy 0.")


def test_an_attack_that_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("no step")

    monkeypatch.setattr(PGD, "search", fail)
    assert doctor.doctor()["self-test"] == "FAILED: ZeroDivisionError: no step"
