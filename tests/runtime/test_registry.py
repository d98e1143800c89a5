"""Names: known from the source, taken once, and an unknown one gets the nearest that exists."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

import robustfeat.attacks
import robustfeat.data.sources
import robustfeat.objectives
import robustfeat.tasks
import robustfeat.tasks.detectors
from robustfeat.attacks import ATTACKS
from robustfeat.data.sources import SOURCES
from robustfeat.objectives import OBJECTIVES
from robustfeat.runtime.errors import UnknownNameError
from robustfeat.runtime.registry import Registry, unknown
from robustfeat.tasks import DETECTORS, TASKS


@pytest.fixture
def fruits() -> Registry[object]:
    registry: Registry[object] = Registry("fruit")
    for name in ("pear", "apple", "banana"):
        registry.register(name)(type(name, (), {}))
    return registry


def test_finds_names_and_lists_them_in_order(fruits: Registry[object]) -> None:
    assert list(fruits) == ["apple", "banana", "pear"]
    assert len(fruits) == 3
    assert fruits["pear"].name == "pear"  # type: ignore[attr-defined]
    assert "pear" in fruits
    assert "plum" not in fruits


def test_an_unknown_name_gets_the_nearest(fruits: Registry[object]) -> None:
    with pytest.raises(KeyError) as caught:
        fruits["aple"]
    assert isinstance(caught.value, UnknownNameError)
    assert str(caught.value) == "unknown fruit 'aple'; did you mean 'apple'? Known: apple, banana, pear"


def test_a_name_like_nothing_gets_the_list(fruits: Registry[object]) -> None:
    with pytest.raises(KeyError, match=r"unknown fruit 'xyzzy'\. Known: apple, banana, pear"):
        fruits["xyzzy"]


def test_nothing_known_says_so() -> None:
    assert str(unknown("model", "a", [])) == "unknown model 'a'. Known: none"


def test_a_name_is_taken_once(fruits: Registry[object]) -> None:
    before = fruits["apple"]
    with pytest.raises(ValueError, match="fruit 'apple' is registered already, by apple"):
        fruits.register("apple")(type("other", (), {}))
    assert fruits["apple"] is before


@pytest.fixture
def berries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[object]:
    """A package with a registry, one of whose files cannot be imported."""
    folder = tmp_path / "berries"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from robustfeat.runtime.registry import Registry\nBERRIES = Registry('berry', __name__, 'BERRIES')\n"
    )
    (folder / "blue.py").write_text(
        "from berries import BERRIES\n"
        "@BERRIES.register('blueberry')\nclass Blue:\n    '''Grows in woods.\n\n    Stains.\n    '''\n"
        "@BERRIES.register('bilberry')\nclass Bil:\n    pass\n"
    )
    (folder / "black.py").write_text("import no_such_module\n@BERRIES.register('blackberry')\nclass Black: pass\n")
    (folder / "other.py").write_text("@FRUITS.register('apple')\nclass Apple: pass\n# @BERRIES.register('none')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("berries", "berries.blue"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("berries").BERRIES


def test_names_and_summaries_are_read_and_not_imported(berries: Registry[object]) -> None:
    assert list(berries) == ["bilberry", "blackberry", "blueberry"]
    assert "none" not in berries
    assert [berries.summary(name) for name in berries] == ["", "", "Grows in woods."]
    assert "berries.blue" not in sys.modules
    assert berries["blueberry"].__name__ == "Blue"
    assert berries["blueberry"].name == "blueberry"  # type: ignore[attr-defined]
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        berries["blackberry"]


def test_a_written_name_is_taken_before_it_is_imported(berries: Registry[object]) -> None:
    with pytest.raises(ValueError, match="berry 'blueberry' is registered already, by Blue"):
        berries.register("blueberry")(type("Other", (), {}))
    berries.register("gooseberry")(type("Goose", (), {"__doc__": "Sour."}))
    assert "gooseberry" in list(berries)
    assert berries.summary("gooseberry") == "Sour."


@pytest.mark.parametrize(
    ("registry", "package"),
    [
        (ATTACKS, robustfeat.attacks),
        (OBJECTIVES, robustfeat.objectives),
        (TASKS, robustfeat.tasks),
        (DETECTORS, robustfeat.tasks.detectors),
        (SOURCES, robustfeat.data.sources),
    ],
    ids=["attacks", "objectives", "tasks", "detectors", "sources"],
)
def test_what_is_read_is_what_registers_itself(registry: Registry[object], package: object) -> None:
    for info in pkgutil.iter_modules(package.__path__):  # type: ignore[attr-defined]
        importlib.import_module(f"{package.__name__}.{info.name}")  # type: ignore[attr-defined]
    own = {name: cls for name, cls in registry._classes.items() if cls.__module__.startswith(package.__name__)}  # type: ignore[attr-defined]
    assert set(own) == set(registry._written)
    assert len(own) >= 9
    for name, cls in own.items():
        assert registry[name] is cls
        assert registry.summary(name) == (cls.__doc__ or "").strip().splitlines()[0]
