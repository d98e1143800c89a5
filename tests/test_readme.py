"""The README's examples run, its commands parse, its links and folders exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from repository import ROOT

from robustfeat.command_line.cli import parse

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, in one namespace, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert len(examples) == 3
    state, namespace = torch.get_rng_state(), {}
    for example in examples:
        exec(compile(example, "README.md", "exec"), namespace)
    torch.set_rng_state(state)  # the last example draws its random start from the global generator


@pytest.mark.parametrize(
    "line", [line for block in blocks("bash") for line in block.splitlines() if line.startswith("robustfeat")]
)
def test_the_commands_parse(line: str) -> None:
    for command in line.split("#")[0].split(";"):
        parse(command.split()[1:])


def test_links_and_folders_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
    folders = re.findall(r"^\| `([^`]+/)` \|", README, flags=re.MULTILINE)
    assert len(folders) >= 10
    for folder in folders:
        assert (ROOT / folder).is_dir(), folder


def test_the_commands_are_those_of_ci() -> None:
    assert "make demo" in README
    assert "make test" in README
    assert "make test" in (ROOT / ".ci" / "run").read_text()
