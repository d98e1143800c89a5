"""robustfeat export MODEL FOLDER"""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.commands.base import Command, Result


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a model folder, a published name, hf:ORG/REPO or timm:NAME")
    parser.add_argument("folder", type=str, help="where to write it; the model is called by the folder's name")
    parser.add_argument("--half", action="store_true", help="weights in half precision: half the size, rounded")


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.export import export

    card = export(values["model"], values["folder"], half=values["half"])
    facts = {"name": card.name, "folder": values["folder"], **card.weights}
    return Result(
        f"{values['folder']}: {card.weights['bytes']:,} bytes, {card.weights['dtype']}\n"
        "numbers in a card are of the exact weights; evaluate the folder and publish them there",
        facts,
    )


COMMAND = Command(
    "export",
    "Write a model under another name, in single or half precision.",
    "robustfeat export runs/student my-model --half",
    _add,
    _run,
)
