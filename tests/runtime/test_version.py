"""The version is known where the package lies on PYTHONPATH and is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from repository import ROOT

import robustfeat

NOT_INSTALLED = """
import dataclasses, json, sys
from importlib import metadata

found = metadata.Distribution.from_name

def from_name(name):
    if name == "robustfeat":
        raise metadata.PackageNotFoundError(name)
    return found(name)

metadata.Distribution.from_name = from_name

import robustfeat
from robustfeat.command_line import cli
from robustfeat.features.card import Card
from robustfeat.publishing.publication import publish
from robustfeat.publishing.remeasured import quick
from robustfeat.evaluation import Evaluation
from robustfeat.testing import small_network

assert cli.main(["--version"]) == 0
folder = sys.argv[1]
network = small_network(0, classes=10)
robustfeat.save(folder + "/model", network, Card("model", network.architecture, network.feature_dim))
choices = Evaluation(data="digits", train="train[:200]", task=("probe",), attack=("fgsm",), limit=40, examined=0)
report = choices.run(robustfeat.load(folder + "/model"), records=folder + "/records", progress=False)
publish(folder + "/model", [report], force=True)
agrees = quick(folder + "/model", limit=20, minutes=1).agrees
print(json.dumps([robustfeat.__version__, report.environment["robustfeat"], agrees]))
"""


def test_everything_runs_without_being_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NOT_INSTALLED, str(tmp_path)]
    there = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=there, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    version = robustfeat.__version__
    assert f"robustfeat {version}\n" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == [version, version, True]
    assert f'"version": "{version}"' in "".join(path.read_text() for path in (tmp_path / "records").rglob("*.json"))


def test_the_distribution_has_this_version() -> None:
    command = [sys.executable, "setup.py", "-q", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split()[-1] == robustfeat.__version__
