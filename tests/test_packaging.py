"""What is built is what is documented: tasks and weights inside the package, nothing else at the top level."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from repository import ROOT

import robustfeat
from robustfeat.features import hub
from robustfeat.features.parts import weight_files


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that an installation gets."""
    target = tmp_path_factory.mktemp("built")
    work = tmp_path_factory.mktemp("egg")
    command = [
        sys.executable,
        "setup.py",
        "-q",
        "egg_info",
        "--egg-base",
        str(work),
        "build_py",
        "--build-lib",
        str(target),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return target


def test_tasks_and_weights_are_inside_the_package(built: Path) -> None:
    assert [path.name for path in built.iterdir()] == ["robustfeat"]
    for folder in (
        "tasks",
        "tasks/detectors",
        "attacks",
        "command_line/commands",
        "features/card",
        "report",
        "pretrained",
    ):
        assert (built / "robustfeat" / folder / "__init__.py").is_file(), folder
    assert (built / "robustfeat" / "py.typed").is_file()
    assert (built / "robustfeat" / "pretrained" / "README.md").is_file()
    assert (built / "robustfeat" / "bench" / "presets" / "digits.yaml").is_file()
    for source in [*(ROOT / "robustfeat").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")]:
        parts = source.relative_to(ROOT).parts
        assert built.joinpath("robustfeat", *parts[parts[0] == "robustfeat" :]).is_file(), source


def test_every_published_model_is_inside_the_package(built: Path) -> None:
    for name in robustfeat.models():
        for file in ("card.json", "README.md", *weight_files(hub.read_card(hub.find(name)).weights)):
            assert (built / "robustfeat" / "pretrained" / name / file).is_file(), f"{name}/{file}"


def test_it_imports_from_anywhere(built: Path, tmp_path: Path) -> None:
    code = (
        "import robustfeat, robustfeat.tasks, robustfeat.pretrained, importlib.util;"
        f"assert robustfeat.__file__.startswith({str(built)!r}), robustfeat.__file__;"
        f"assert robustfeat.tasks.__file__.startswith({str(built)!r}), robustfeat.tasks.__file__;"
        "assert importlib.util.find_spec('tasks') is None;"
        "print(robustfeat.models())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(built)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_checkout_has_only_what_a_project_has() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60).stdout.split()
    top = {line.split("/")[0] for line in tracked}
    given = {"robustfeat", "tasks", "pretrained", "tests", "setup.py", "README.md"}
    usual = {"pyproject.toml", "Makefile", "LICENSE", ".gitignore", ".ci", "benchmarks", "docs", "examples", "recipes"}
    usual |= {"CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff"}
    assert top <= given | usual, top - given - usual


def test_the_licence_is_apache() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation), "what the format requires"
    assert citation["version"] == robustfeat.__version__
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Bai", "Chen", "Zhao", "Wen", "Jiang", "Kot"]
    assert paper["url"].endswith("2009.09922")


def test_the_build_system_is_declared() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["build-system"]["build-backend"] == "setuptools.build_meta"
