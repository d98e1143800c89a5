"""Help, versions and lists need no torch, which takes seconds to import."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from command_runs import refused, run

from robustfeat.command_line import cli
from robustfeat.features import shipped
from robustfeat.objectives import OBJECTIVES

COMMANDS = cli.find_commands()
LEAVES = [(name, variant) for name, each in COMMANDS.items() for variant in each.variants or () if name != "train"]
QUICK = [
    ("--help",),
    ("--version",),
    ("models",),
    ("models", "--json"),
    ("tarin",),
    ("train", "gcad"),
    ("train",),
    ("evaluate",),
    ("evaluate", "x", "--data", "digits", "--limt", "3"),
    *((name, "--help") for name in COMMANDS),
    *((*leaf, "--help") for leaf in LEAVES),
]
CODE = """
import sys
from robustfeat.command_line.cli import main
for words in {words!r}:
    try:
        main(list(words))
    except SystemExit:
        pass
    assert "torch" not in sys.modules, words
print("through")
"""


def test_no_help_and_no_mistake_imports_torch() -> None:
    code = CODE.format(words=QUICK)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("through\n")
    assert "unknown command 'tarin'; did you mean 'train'?" in done.stderr


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == shipped.models()


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"robustfeat {metadata.version('robustfeat')}\n"


def test_the_help_of_train_has_the_first_line_of_each_objective(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in OBJECTIVES:
        assert f"{name} {' '.join((OBJECTIVES[name].__doc__ or '').strip().splitlines()[0].split())}" in text


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown command 'evalute'; did you mean 'evaluate'?" in refused(capsys, 2, "evalute", "x")
    assert "unknown action 'serch'; did you mean 'search'?" in refused(capsys, 2, "index", "serch")
