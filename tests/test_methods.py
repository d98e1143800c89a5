"""The page on methods names every objective, and its worked example is a method that keeps the contract."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from repository import ROOT

from robustfeat.command_line.cli import parse
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch
from robustfeat.objectives import OBJECTIVES, Objective, Views
from robustfeat.testing import check_objective, small_network

METHODS = (ROOT / "docs" / "guide" / "methods.md").read_text(encoding="utf-8")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Objective:
    """What the file of the example registers; forgotten when the test ends."""
    monkeypatch.setattr(OBJECTIVES, "_classes", dict(OBJECTIVES._classes))
    before = set(OBJECTIVES)
    (source,) = re.findall(r"```python\n(.*?)```", METHODS, flags=re.DOTALL)
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, "methods.md", "exec", dont_inherit=True), namespace)
    (name,) = set(OBJECTIVES) - before
    return OBJECTIVES[name]()


def test_every_objective_has_a_paragraph_with_a_formula() -> None:
    sections = re.split(r"^### `([\w-]+)`\n", METHODS.split("\n## A new method")[0], flags=re.MULTILINE)[1:]
    names, texts = sections[::2], sections[1::2]
    assert sorted(names) == list(OBJECTIVES)
    for name, text in zip(names, texts, strict=True):
        assert re.search(r"^    (.*\n    )*L += ", text, flags=re.MULTILINE), f"{name} has no formula"
        assert name == "natural" or re.search(r"\b20[12]\d\b", text), f"{name} has no reference"
    table = METHODS.split("\n## ")[0]
    assert all(f"`{name}`" in table for name in names)


def test_the_example_keeps_the_contract(example: Objective) -> None:
    check_objective(example)


def test_the_example_computes_its_formula(example: Objective) -> None:
    images = torch.rand(4, 3, 8, 8, generator=generator(0))
    views = Views(small_network(0).eval(), None, Batch(images, torch.arange(4), torch.arange(4)), generator(1))
    loss = example.inner(views)
    assert loss is not None
    views.attacked = (images + 0.1).clamp(0, 1)
    clean, attacked = (views.student.features(x).tolist() for x in (images, views.attacked))
    expected = [sum((b - a) ** 2 for a, b in zip(u, v, strict=True)) for u, v in zip(clean, attacked, strict=True)]
    assert loss(views.attacked).tolist() == pytest.approx(expected, rel=1e-5)
    assert example(views).terms["distance"].item() == pytest.approx(sum(expected) / 4, rel=1e-5)


def test_the_commands_parse() -> None:
    lines = re.findall(r"^    robustfeat (.+)$", METHODS, flags=re.MULTILINE)
    assert lines
    for line in lines:
        parse(line.split())
