from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import robustfeat
import robustfeat.attacks
import robustfeat.objectives
import robustfeat.tasks

PACKAGES = [robustfeat, robustfeat.attacks, robustfeat.objectives, robustfeat.tasks]


def test_the_names_are_those() -> None:
    expected = """
        FGSM PGD Attack Card DivergedError Eps FeatureExtractor FeatureTransformer IntegrityError OfflineError
        PatchExtractor Recipe Report Threat dataset evaluate extract fine_tune harden load models save train
    """
    assert sorted(robustfeat.__all__) == sorted(expected.split())


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_names_exist_and_are_documented(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            own = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
            assert own, f"{name} has no docstring"
            assert not own.startswith(f"{name}("), f"{name} has only the docstring that dataclass makes"


def test_import_needs_no_network_and_is_quiet() -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise RuntimeError('network at import')\n"
        "socket.socket.connect = refuse; socket.create_connection = refuse; socket.getaddrinfo = refuse\n"
        "import torch; before = torch.get_rng_state()\n"
        "import robustfeat, robustfeat.command_line.cli\n"
        "assert torch.equal(before, torch.get_rng_state())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
