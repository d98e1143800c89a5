from __future__ import annotations

import json

import pytest

from robustfeat.architecture import Architecture
from robustfeat.card import Card
from robustfeat.errors import IntegrityError
from robustfeat.recipe import Recipe
from robustfeat.types import Eps, Row

CARD = Card(
    "gacd-x",
    Architecture("resnet18", "small"),
    512,
    head="linear",
    threat="linf 8/255",
    objective="gacd",
    options={"tau": 0.1},
    recipe=Recipe(eps=Eps("8/255"), step_size=Eps(0.011)),
    data={"name": "cifar10", "images": 45000},
    results=(Row("probe", "accuracy", "pgd", 0.5, 0.47, 0.53, 1000, 12.5),),
    attacks={"pgd": "PGD(steps=40)"},
    flags=("probe accuracy under pgd: zero gradients: 0.5 of the images",),
    classes=("cat", "dog"),
)


def test_roundtrip() -> None:
    assert Card.from_json(CARD.to_json()) == CARD
    assert Recipe.from_dict(json.loads(json.dumps(CARD.recipe.as_dict()))) == CARD.recipe  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '"x"', "null", '{"format": 99}', CARD.to_json()[:-20],
        CARD.to_json().replace('"format": 1', '"format": 2'),
        CARD.to_json().replace('"name"', '"nombre"', 1),
        CARD.to_json().replace('"recipe": {', '"recipe": {"surprise": 1,'),
        CARD.to_json().replace('"mean": [', '"mean": ["x",'),
    ],
)  # fmt: skip
def test_anything_else_is_an_integrity_error(text: str) -> None:
    with pytest.raises(IntegrityError, match="card"):
        Card.from_json(text)


def test_the_readme_comes_from_the_card() -> None:
    text = CARD.readme()
    for piece in (
        "gacd-x",
        "resnet18",
        "linf 8/255",
        "0.500",
        "0.470 to 0.530",
        "1000",
        "- attack pgd: PGD(steps=40)",
        "- **probe accuracy under pgd: zero gradients",
        "cifar10",
        "Apache-2.0",
        '"tau": 0.1',
    ):
        assert piece in text


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0}, {"epochs": -1}, {"lr": 0}, {"lr": float("nan")}, {"batch_size": 0}, {"minutes": 0}, {"minutes": -5},
        {"ema": 1.0}, {"warmup": 1.0}, {"eps_warmup": -0.1}, {"steps": -1}, {"crop": -1}, {"accumulate": 3}, {"max_steps": 0},
        {"clip": 0}, {"eval_images": 0}, {"keep": 0}, {"momentum": 1.5}, {"weight_decay": -1},
    ],
)  # fmt: skip
def test_a_recipe_refuses_impossible_values(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Recipe(**change)  # type: ignore[arg-type]
