"""Public names are imported on demand, and are the same whatever was imported before."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import robustfeat

LAZY = (
    "robustfeat",
    *(
        f"robustfeat.{p}"
        for p in [
            "attacks",
            "backbones",
            "bench",
            "data",
            "data.sources",
            "evaluation",
            "features",
            "features.card",
            "index",
            "objectives",
            "publishing",
            "report",
            "tasks",
            "tasks.detectors",
            "testing",
            "training",
        ]
    ),
)
HEAVY = {"torch", "timm", "datasets", "sklearn", "scipy", "faiss", "matplotlib", "pandas", "pyarrow", "accelerate"}


def fresh(code: str) -> str:
    """What a new process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_packages_loads_nothing_heavy() -> None:
    lines = "\n".join(f"import {name}" for name in LAZY)
    assert fresh(f"{lines}\nimport sys; print({HEAVY!r} & set(sys.modules))") == "set()\n"


def test_one_name_loads_what_it_needs() -> None:
    code = "from robustfeat import PGD, Eps\nfrom robustfeat.tasks import LinearProbe\nimport sys\n"
    assert fresh(f"{code}print(sorted({HEAVY!r} & set(sys.modules)))") == "['torch']\n"


@pytest.mark.parametrize("name", LAZY)
def test_no_function_hides_a_module(name: str) -> None:
    package = importlib.import_module(name)
    assert {info.name for info in pkgutil.iter_modules(package.__path__)} & set(package.__all__) == set()


@pytest.mark.parametrize("name", LAZY)
def test_what_is_stated_is_what_there_is(name: str) -> None:
    package = importlib.import_module(name)
    public = {key for key in [*package._homes, *vars(package)] if key in package.__all__}
    assert public == set(package.__all__)
    assert set(package._homes) <= set(package.__all__), "an import under TYPE_CHECKING that is not public"
    assert set(package.__all__) <= set(dir(package))
    for key in package.__all__:
        value = getattr(package, key)
        assert not isinstance(value, ModuleType), f"{name}.{key} is a module"
        assert getattr(package, key) is value


def test_star_imports_have_all_names() -> None:
    namespace: dict[str, object] = {}
    exec("from robustfeat import *", namespace)
    assert set(robustfeat.__all__) <= set(namespace)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'robustfeat' has no attribute 'trian'"):
        robustfeat.trian  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="trian"):
        from robustfeat import trian  # type: ignore[attr-defined]  # noqa: F401


def test_public_classes_and_functions_survive_pickling() -> None:
    for value in (robustfeat.PGD, robustfeat.train, robustfeat.PGD(), robustfeat.evaluation.evaluate):  # type: ignore[attr-defined]
        again = pickle.loads(pickle.dumps(value))
        assert again is value or again == value


def test_names_are_imported_when_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazyfruit").mkdir()
    (tmp_path / "lazyfruit" / "apples.py").write_text("def apple(): return 'eaten'\nPIPS = 5\n")
    (tmp_path / "lazyfruit" / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from robustfeat.runtime.lazy import attach\n"
        "if TYPE_CHECKING:\n    from lazyfruit.apples import PIPS, apple\n"
        "peel = 1\n"
        "attach(__name__)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("lazyfruit", "lazyfruit.apples"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    fruit = importlib.import_module("lazyfruit")
    assert (fruit.peel, "lazyfruit.apples" in sys.modules) == (1, False)
    assert {"PIPS", "apple", "peel"} <= set(dir(fruit))
    assert fruit.apple() == "eaten"
    assert fruit.apple is importlib.import_module("lazyfruit.apples").apple
    assert fruit.PIPS == 5
    monkeypatch.setattr(fruit, "apple", "mine")  # a test may put something else there
    assert fruit.apple == "mine"
