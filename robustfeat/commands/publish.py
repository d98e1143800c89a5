"""robustfeat publish FOLDER REPORT.json"""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.commands.base import Command, Result
from robustfeat.publish import publish
from robustfeat.report import Report


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a model folder")
    parser.add_argument("report", type=str, help="a report of this model that evaluate --out wrote")
    parser.add_argument("--force", action="store_true", help="publish flagged numbers too, each with its flag")


def _run(values: dict[str, Any]) -> Result:
    card = publish(values["model"], Report.load(values["report"]), force=values["force"])
    return Result(card.readme(), {"model": card.name, "numbers": len(card.results), "flags": card.flags})


COMMAND = Command(
    "publish",
    "Write the numbers of a report into a model's card; flagged ones are refused.",
    "robustfeat publish pretrained/gacd-resnet18 report.json",
    _add,
    _run,
)
