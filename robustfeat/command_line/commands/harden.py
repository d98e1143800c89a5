"""The command `robustfeat harden MODEL` makes a model robust in its own feature space."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result
from robustfeat.features.recipe import Recipe
from robustfeat.training.protocol import GIVEN, HARDENING

ENTRIES = [field.name for field in dataclasses.fields(Recipe) if field.name not in GIVEN]


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a published name, a model folder, timm:NAME or hf:ORG/REPO")
    parser.add_argument(
        "--data", type=str, required=True, help="a folder of photographs, or any data set; labels are optional"
    )
    parser.add_argument("--out", type=str, required=True, help="folder for best/, last/, checkpoints/ and log.jsonl")
    parser.add_argument(
        "--objective",
        type=Literal["fare", "gacd"],
        default="fare",
        help="fare draws attacked features to the clean ones of the original, gacd contrasts them with other images as well",
    )
    parser.add_argument("--resume", action="store_true", help="continue from the latest valid checkpoint in --out")
    parser.add_class_arguments(Recipe, as_group=True, skip=set(GIVEN))
    parser.set_defaults(**HARDENING)


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.features import hub
    from robustfeat.training.hardening import harden

    best = harden(
        values["model"],
        values["data"],
        values["out"],
        objective=values["objective"],
        resume=values["resume"],
        **{name: values[name] for name in ENTRIES},
    )
    card = hub.read_card(best)
    training = card.training.as_dict()
    return Result(
        f"best weights: {best}\n{json.dumps(training)}",
        {"model": str(best), "training": training, "compatible_with": card.compatible_with},
    )


COMMAND = Command(
    "harden",
    "Make a model robust on your images, in the feature space it has, so that its indexes go on working.",
    "robustfeat harden gacd-resnet18 --data photos/ --eps 2/255 --minutes 60 --out runs/hardened",
    _add,
    _run,
)
