"""Options of the command line: config files, help, and how they may be spelt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from command_runs import refused, run

from robustfeat.command_line import cli
from robustfeat.objectives import OBJECTIVES


@pytest.mark.parametrize("name", ["evil.yaml", "evil2.yaml"])
@pytest.mark.parametrize("command", [("train", "natural", "--out", "o"), ("evaluate", "x", "--data", "digits")])
def test_configs_can_not_run_code(
    world: Path, name: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "could not determine a constructor" in refused(capsys, 2, *command, "--config", world / name)
    assert not (world / "trap").exists()


def test_a_printed_config_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(*flags: str) -> dict[str, object]:
        assert run("train", "gacd", *flags, "--print_config") == 0
        return yaml.safe_load(capsys.readouterr().out)

    path = tmp_path / "run.yaml"
    flags = "--tau 0.3 --eps 4/255 --step_size 0.01 --minutes 2.5 --stem cifar --flip no --bank 8"
    first = printed(*flags.split())
    expected = {
        "tau": 0.3,
        "eps": "4/255",
        "step_size": "0.01",
        "minutes": 2.5,
        "stem": "cifar",
        "flip": False,
        "bank": 8,
    }
    assert first.items() >= expected.items()
    path.write_text(yaml.safe_dump(first))
    assert printed("--config", str(path)) == first
    assert printed("--config", str(path), "--eps", "2/255") == first | {"eps": "2/255"}


COMMANDS = [(name,) for name in cli.find_commands()] + [("train", name) for name in OBJECTIVES]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"example: robustfeat {command[0]}" in text


def test_help_lists_the_commands_and_objectives(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(f"    {name} " in text for name in ("demo", "doctor", "evaluate", "extract", "models", "show", "train"))
    assert run("train", "--help") == 0
    text = capsys.readouterr().out
    assert all(f"    {name} " in text for name in OBJECTIVES)


@pytest.mark.parametrize("spell", [lambda f: f, lambda f: f.replace("_", "-")], ids=["_", "-"])
@pytest.mark.parametrize("join", [lambda f, v: [f, v], lambda f, v: [f"{f}={v}"]], ids=["space", "="])
def test_dashes_and_underscores_are_the_same(
    spell: Callable[[str], str], join: Callable[[str, str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"--log_steps": "7", "--held_out": "train[90%:]", "--teacher": "my-runs/a_b-c", "--eps_warmup": "0.5"}
    flags = [part for flag, value in values.items() for part in join(spell(flag), value)]
    assert run("train", "gacd", *flags, spell("--print_config")) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in ("log_steps: 7", "held_out: train[90%:]", "teacher: my-runs/a_b-c", "eps_warmup: 0.5"):
        assert line in lines
