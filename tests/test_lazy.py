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
        for p in ["analysis", "attacks", "bench", "card", "data", "index", "objectives", "report", "tasks"]
    ),
)
HEAVY = {"torch", "timm", "datasets", "sklearn", "scipy", "faiss", "matplotlib", "pandas", "pyarrow", "accelerate"}


def fresh(code: str) -> str:
    """What a new process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def namesakes() -> list[tuple[str, str]]:
    """Every public name that a submodule has as well, with its package."""
    found = []
    for package in map(importlib.import_module, LAZY):
        modules = {info.name for info in pkgutil.iter_modules(package.__path__)}
        found += [(package.__name__, name) for name in package.__all__ if name in modules]
    return found


def test_importing_packages_loads_nothing_heavy() -> None:
    lines = "\n".join(f"import {name}" for name in LAZY)
    assert fresh(f"{lines}\nimport sys; print({HEAVY!r} & set(sys.modules))") == "set()\n"


def test_one_name_loads_what_it_needs() -> None:
    code = "from robustfeat import PGD, Eps\nfrom robustfeat.tasks import LinearProbe\nimport sys\n"
    assert fresh(f"{code}print(sorted({HEAVY!r} & set(sys.modules)))") == "['torch']\n"


def test_submodules_first_and_then_the_names() -> None:
    """Some functions are called like the module that has them."""
    found = namesakes()
    assert {("robustfeat", "train"), ("robustfeat", "extract"), ("robustfeat.tasks", "evaluate")} <= set(found)
    lines = [f"import {package}.{name}" for package, name in found]
    lines += [f"from {package} import {name}\nassert callable({name}), {name!r}" for package, name in found]
    lines += [f"assert callable({package}.{name}), {name!r}" for package, name in found]
    fresh("\n".join(lines))


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
    for value in (robustfeat.PGD, robustfeat.train, robustfeat.PGD(), robustfeat.tasks.evaluate):  # type: ignore[attr-defined]
        again = pickle.loads(pickle.dumps(value))
        assert again is value or again == value


@pytest.mark.parametrize("module_first", [True, False])
def test_a_function_that_is_called_like_its_module(
    module_first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lazyfruit").mkdir()
    (tmp_path / "lazyfruit" / "apple.py").write_text("def apple(): return 'eaten'\nPIPS = 5\n")
    (tmp_path / "lazyfruit" / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from robustfeat.lazy import attach\n"
        "if TYPE_CHECKING:\n    from lazyfruit.apple import PIPS, apple\n"
        "peel = 1\n"
        "attach(__name__)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("lazyfruit", "lazyfruit.apple"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    fruit = importlib.import_module("lazyfruit")
    assert (fruit.peel, "lazyfruit.apple" in sys.modules) == (1, False)
    assert {"PIPS", "apple", "peel"} <= set(dir(fruit))
    if module_first:
        importlib.import_module("lazyfruit.apple")
    assert fruit.apple() == "eaten"
    module = importlib.import_module("lazyfruit.apple")
    assert isinstance(module, ModuleType)
    assert fruit.apple is module.apple
    assert fruit.PIPS == 5
    monkeypatch.setattr(fruit, "apple", "mine")  # a test may put something else there
    assert fruit.apple == "mine"
