"""What the pages have a reader type is understood, and what they have him run runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import torch
from pages import blocks, commands, every_page, name_of
from repository import ROOT

from robustfeat.command_line.cli import parse

# Run by tests of their own: of README.md the output is read, methods.md registers an objective, hub.md needs a Hub.
ELSEWHERE = {"README.md", "docs/guide/methods.md", "docs/guide/hub.md"}
# Made from cards, for readers with other images.
GENERATED = {f"pretrained/{path.parent.name}/README.md" for path in (ROOT / "pretrained").glob("*/card.json")}
COMMANDS = [(name_of(page), command) for page in every_page() for command in commands(page.read_text("utf-8"))]
PROGRAMS = [
    page
    for page in every_page()
    if blocks(page.read_text("utf-8"), "python") and name_of(page) not in ELSEWHERE | GENERATED
]


def test_there_are_cases() -> None:
    assert len(COMMANDS) > 20
    assert {"docs/guide/extractors.md", "docs/guide/tasks.md", "docs/guide/training.md"} <= set(map(name_of, PROGRAMS))


def test_every_benchmark_is_described() -> None:
    folder = ROOT / "benchmarks"
    text = (folder / "README.md").read_text("utf-8")
    assert [path.name for path in folder.glob("*.py") if f"`{path.name}`" not in text] == []


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda text: text)
def test_the_commands_parse(page: str, command: str) -> None:
    parse(shlex.split(command))


@pytest.mark.parametrize("page", PROGRAMS, ids=name_of)
def test_the_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, in one namespace, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    with torch.random.fork_rng(devices=[]):  # an attack that is called as a function draws from the global generator
        for example in blocks(page.read_text("utf-8"), "python"):
            exec(compile(example, name_of(page), "exec", dont_inherit=True), namespace)
