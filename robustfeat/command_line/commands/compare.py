"""The command `robustfeat compare A.json B.json` compares two models."""

from __future__ import annotations

import dataclasses
from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("first", type=str, help="a report that evaluate --out wrote")
    parser.add_argument("second", type=str, help="a report of another model on the same images")


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.evaluation.comparison import compare, comparison
    from robustfeat.report import Report

    first, second = Report.load(values["first"]), Report.load(values["second"])
    differences = compare(first, second)
    return Result(comparison(first, second, differences), [dataclasses.asdict(d) for d in differences])


COMMAND = Command(
    "compare",
    "Compare two models that were evaluated on the same images, pair by pair.",
    "robustfeat compare teacher.json student.json",
    _add,
    _run,
)
