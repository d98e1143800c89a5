"""The command `robustfeat models` lists the published models, and `robustfeat show NAME` prints a card."""

from __future__ import annotations

import json
from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result
from robustfeat.features.model_folder import read_card
from robustfeat.features.shipped import folder_of, models


def _models(values: dict[str, Any]) -> Result:
    names = models()
    cards = [read_card(folder_of(name)) for name in names]
    lines = [
        f"{card.name}  {card.architecture.name}, {card.feature_dim} features, threat {card.threat}" for card in cards
    ]
    return Result("\n".join(lines) or "no models are published with this version", names)


def _add_show(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a published name, a model folder or hf:ORG/REPO")


def _show(values: dict[str, Any]) -> Result:
    from robustfeat.features import hub

    card = read_card(hub.find(values["model"]))
    return Result(card.readme(), json.loads(card.to_json()))


COMMANDS = (
    Command("models", "List the published models.", "robustfeat models", lambda parser: None, _models),
    Command("show", "Show the card of a model.", "robustfeat show gacd-resnet18", _add_show, _show),
)
