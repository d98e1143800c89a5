"""Names: taken once, and an unknown one gets the nearest that exists."""

from __future__ import annotations

import pytest

from robustfeat.errors import UnknownNameError
from robustfeat.registry import Registry, unknown


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
