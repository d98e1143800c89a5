"""The README keeps its promises: short, one example whose numbers are what the text says, one table, the folders in a tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import blocks
from repository import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_it_is_short_and_has_one_table() -> None:
    assert len(README.splitlines()) <= 120
    assert len(re.findall(r"^\|[-|]+\|$", README, flags=re.MULTILINE)) == 1


def test_the_example_shows_what_the_text_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bounds and no numbers: weights may be published anew."""
    monkeypatch.chdir(tmp_path)
    (example,) = blocks(README, "python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    exec(compile(example, "README.md", "exec", dont_inherit=True), {})
    printed = {name: (float(a), float(b)) for name, a, b in map(str.split, capsys.readouterr().out.splitlines())}
    assert all(clean >= 0.9 for clean, _ in printed.values()), "right on nearly every clean image"
    assert printed["natural-resnet18"][1] == 0, "none of it under attack"
    assert printed["gacd-resnet18"][1] >= 0.65, "about three quarters of it under attack"


def test_the_tree_has_every_folder_of_the_package() -> None:
    listed = re.findall(r"^\| `([^`]+/)` \|", CONTRIBUTING, flags=re.MULTILINE)
    packages = {f"robustfeat/{path.parent.name}/" for path in (ROOT / "robustfeat").glob("*/__init__.py")}
    assert {folder for folder in listed if folder.startswith("robustfeat/")} == packages
    for folder in listed:
        assert (ROOT / folder).is_dir(), folder


def test_the_commands_are_those_of_ci() -> None:
    assert "make demo" in README
    ci = (ROOT / ".ci" / "run").read_text()
    for command in ("make test", "make lint", "make types"):
        assert command in CONTRIBUTING
        assert command in ci
