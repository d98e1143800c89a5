"""Who may import whom, read from the source: packages import in one direction."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from repository import ROOT

# From the bottom up: a package imports only from packages in the rows above its own.
ROWS = (
    "runtime",
    "numerics",
    "backbones",
    "data",
    "attacks",
    "objectives",
    "report",
    "index",
    "features",
    "training",
    "tasks",
    "evaluation",
    "publishing",
    "bench",
    "command_line",
    "testing",
    "__main__",
    "__init__",
)
ROW = {name: number for number, name in enumerate(ROWS)}


def sources() -> list[tuple[str, Path]]:
    """(package, file) of everything that is shipped."""
    found = [
        (path.relative_to(ROOT / "robustfeat").parts[0].removesuffix(".py"), path)
        for path in (ROOT / "robustfeat").rglob("*.py")
    ]
    return found + [("tasks", path) for path in (ROOT / "tasks").rglob("*.py")]


def imported(path: Path) -> set[str]:
    """The top-level parts of the library that a file imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("robustfeat.")}
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "robustfeat":
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return names


def test_every_package_has_a_row() -> None:
    assert {name for name, _ in sources()} == set(ROW)


@pytest.mark.parametrize(("name", "path"), sources(), ids=[str(path.relative_to(ROOT)) for _, path in sources()])
def test_imports_come_from_rows_above(name: str, path: Path) -> None:
    wrong = [other for other in imported(path) if other != name and not ROW[other] < ROW[name]]
    assert wrong == [], f"{path.name} (row {ROW[name]}) must not import {wrong}"


FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_NAMES = {"pickle", "dill", "joblib", "shelve", "marshal"}
SENDS_ITS_OWN = {
    ROOT / "robustfeat/testing/copies.py"
}  # objects to itself, as workers get them: nothing that was kept is read


@pytest.mark.parametrize("path", [path for _, path in sources()], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_evaluates_or_assumes_cuda(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            forbidden = FORBIDDEN_NAMES - ({"pickle"} if path in SENDS_ITS_OWN else set())
            assert not {name.split(".")[0] for name in names} & forbidden
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{node.func.id}() in line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            assert (owner, node.func.attr) != ("torch", "load"), f"torch.load in line {node.lineno}"
            assert node.func.attr != "cuda", f".cuda() in line {node.lineno}"
            assert (owner, node.func.attr) != ("yaml", "load"), f"yaml.load in line {node.lineno}"


def test_files_stay_small() -> None:
    long = {str(path.relative_to(ROOT)): n for _, path in sources() if (n := len(path.read_text().splitlines())) > 250}
    assert long == {}, "split by idea"
