"""The command `robustfeat publish FOLDER REPORT.json ...` writes numbers into a card."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a model folder")
    parser.add_argument(
        "reports",
        type=str,
        nargs="+",
        help="reports of this model that evaluate --out wrote; they replace all in the card",
    )
    parser.add_argument(
        "--limits",
        type=str,
        action="append",
        help="once per sentence: what the model is not good for (default: what the card says)",
    )
    parser.add_argument("--force", action="store_true", help="publish flagged numbers too, each with its flag")


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.publishing.publication import publish
    from robustfeat.report import Report

    reports = [Report.load(path) for path in values["reports"]]
    card = publish(values["model"], reports, limits=values["limits"], force=values["force"])
    numbers = sum(len(report.rows) for report in card.reports)
    return Result(card.readme(), {"model": card.name, "numbers": numbers, "flags": card.flags})


COMMAND = Command(
    "publish",
    "Write the numbers of reports into a model's card; flagged ones are refused.",
    "robustfeat publish pretrained/gacd-resnet18 cifar10.json cifar100.json --limits 'Knows small photographs only.'",
    _add,
    _run,
)
