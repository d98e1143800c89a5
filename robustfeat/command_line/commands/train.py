"""The command `robustfeat train OBJECTIVE` trains a student."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result
from robustfeat.features.recipe import Recipe
from robustfeat.objectives import OBJECTIVES


def _arguments(objective: str) -> Any:
    def add(parser: ArgumentParser) -> None:
        parser.add_class_arguments(OBJECTIVES[objective], as_group=True)
        parser.add_class_arguments(Recipe, as_group=True)
        parser.add_argument("--out", required=True, help="folder for best/, last/, checkpoints/ and log.jsonl")
        parser.add_argument("--resume", action="store_true", help="continue from the latest valid checkpoint in --out")
        parser.add_argument("--log_with", default=None, help="an Accelerate tracker, for example tensorboard")

    return add


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.features import hub
    from robustfeat.training.loop import train

    cls = OBJECTIVES[values["objective"]]
    objective = cls(**{name: values[name] for name in inspect.signature(cls).parameters})
    recipe = Recipe(**{field.name: values[field.name] for field in dataclasses.fields(Recipe)})
    best = train(objective, recipe, values["out"], resume=values["resume"], log_with=values["log_with"])
    card = hub.read_card(best)
    training = card.training.as_dict()
    return Result(
        f"best weights: {best}\n{json.dumps(training)}",
        {"model": str(best), "training": training, "weights": card.weights and card.weights.as_dict()},
    )


COMMAND = Command(
    "train",
    "Train a student by one of the objectives.",
    "robustfeat train gacd --student mobilenetv2_100 --teacher runs/teacher --data cifar10 --minutes 60 --out runs/student",
    lambda parser: None,
    _run,
    variants={name: (OBJECTIVES.summary(name), _arguments(name)) for name in OBJECTIVES},
    variant="objective",
)
