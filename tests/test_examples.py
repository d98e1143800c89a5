"""Every script in examples/ runs, and prints what it promises."""

from __future__ import annotations

import re
import runpy
import sys

import pytest
import torch
from repository import ROOT

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.tasks import TASKS
from robustfeat.testing import small_network

EXAMPLES = ROOT / "examples"
SAYS = {
    "linear_probe": r"probe accuracy, attack none: 0\.\d+ \[.*\nprobe accuracy, attack pgd: 0\.\d+",
    "retrieval": r"clean: recall@1 (\d+)/20\nattacked: recall@1 (\d+)/20",
    "anomaly_monitor": r"clean: [\d.]+% false alarms, [\d.]+% of the anomalies found\nattacked: ",
    "own_task": r"accuracy, attack none: 0\.\d+\naccuracy, attack pgd: 0\.\d+",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    network = small_network(0, classes=10)
    hub.save(folder, network, Card("small", network.architecture, network.feature_dim))
    return str(folder)


def test_each_has_a_test() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", list(SAYS))
def test_it_runs(name: str, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(TASKS, "_classes", dict(TASKS._classes))  # what an example registers ends with it
    monkeypatch.setattr(sys, "argv", [name, model])
    state = torch.get_rng_state()
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    torch.set_rng_state(state)  # a script may draw from the global generator
    assert re.search(SAYS[name], capsys.readouterr().out), "it does not print what it promises"
