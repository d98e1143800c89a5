"""The command on a model's page gives back the recipe and the options of its card."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

import pytest
from command_line import parsed

from robustfeat.features.card import train_command
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import OBJECTIVES

EVERYTHING = Recipe(
    data="/data/two words", train="train[:98%]", held_out="train[98%:]", image_size=64, image="img", label="fine label",
    label_noise=0.25, student="mobilenetv2_100", stem="cifar", head="linear", start="natural-resnet18", teacher="at-resnet18d",
    norm="l2", eps=Eps(0.5), steps=3, step_size=Eps("32/255"), eps_warmup=0.1, epochs=2.5, max_steps=7, minutes=132.5,
    awp=0.01, awp_warmup=0.05,
    batch_size=96, accumulate=3, optimizer="adamw", lr=1e-5, momentum=0.0, weight_decay=0, schedule="multistep", warmup=0.2,
    clip=1.5, ema=0.998, ema_start=0.2, crop=0, flip=False, cutout=8, precision="bf16", channels_last=False, compile=True, seed=3,
    eval_minutes=20, eval_epochs=1, eval_images=77, eval_steps=0, checkpoint_minutes=1.25, keep=5, log_steps=9,
)  # fmt: skip


RECIPES = {
    "defaults": Recipe(),
    "everything": EVERYTHING,
    "cached": Recipe(cache_teacher=True, crop=0, flip=False),
    "l2": Recipe(norm="l2"),
    "linf in l2's size": Recipe(eps=Eps("128/255")),
    "odd names": Recipe(data="-x", student="it's", train="train[:98%]"),
}


def test_everything_is_everything() -> None:
    usual = Recipe()
    same = [
        field.name
        for field in dataclasses.fields(Recipe)
        if getattr(EVERYTHING, field.name) == getattr(usual, field.name)
    ]
    assert same == ["cache_teacher"], "which needs cutout off"


@pytest.mark.parametrize("name", RECIPES)
def test_the_command_gives_back_the_recipe(name: str) -> None:
    command = train_command("gacd", {"tau": 0.3, "symmetric": True, "weight": "none"}, RECIPES[name], "runs/x")
    objective, options, recipe = parsed(command)
    assert objective == "gacd"
    assert recipe == RECIPES[name]
    assert options == OBJECTIVES["gacd"](tau=0.3, symmetric=True, weight="none").options()  # type: ignore[call-arg]


def test_a_usual_size_is_not_written() -> None:
    assert train_command("at", {}, Recipe(norm="l2"), "x") == "robustfeat train at --data digits --norm l2 --out x"


def altered(value: Any) -> Any:
    """Another value of the same kind; names stay, as only some are allowed."""
    return not value if isinstance(value, bool) else value if isinstance(value, str) else value / 2 if value else 1


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_the_command_gives_back_the_options(name: str) -> None:
    usual = {key: parameter.default for key, parameter in inspect.signature(OBJECTIVES[name]).parameters.items()}
    other = {key: int(altered(value)) if type(value) is int else altered(value) for key, value in usual.items()}
    for options in (usual, other):
        stored = json.loads(json.dumps(options))  # as a card holds them
        assert parsed(train_command(name, stored, Recipe(), "runs/x"))[:2] == (name, options)
    command = train_command(name, usual, Recipe(), "runs/x")
    assert command == f"robustfeat train {name} --data digits --out runs/x", "only what differs"


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
