"""The command `robustfeat export MODEL FOLDER` writes a model under another name."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a model folder, a published name, hf:ORG/REPO or timm:NAME")
    parser.add_argument("folder", type=str, help="where to write it; the model is called by the folder's name")
    parser.add_argument("--half", action="store_true", help="weights in half precision: half the size, rounded")
    parser.add_argument(
        "--max_shard_size",
        type=str | None,
        default=None,
        help="write weights of more than this as parts with an index, such as 15MB (default: one file)",
    )


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.publishing.exported import export

    options = {name: values[name] for name in ("half", "max_shard_size")}
    card = export(values["model"], values["folder"], **options)
    weights = card.weights
    assert weights is not None  # they were written just now
    facts = {"name": card.name, "folder": values["folder"], **weights.as_dict()}
    parts = f" in {len(weights.files) - 1} parts" if weights.files else ""
    return Result(
        f"{values['folder']}: {weights.bytes:,} bytes{parts}, {weights.dtype}\n"
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
