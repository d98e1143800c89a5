"""The command `robustfeat demo` runs the full pipeline on digits."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=str, default="demo", help="folder for the models and the report")
    parser.add_argument("--seed", type=int, default=0, help="everything random follows from it")
    parser.add_argument("--max_steps", type=int | None, default=None, help="of each training, to see that it runs")
    parser.add_argument("--limit", type=int | None, default=None, help="measure so many of the test images")


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.command_line.demo import demo

    options = {name: values[name] for name in ("seed", "max_steps", "limit")}
    shown, data = demo(values["out"], **options)
    return Result(shown, data)


COMMAND = Command(
    "demo", "The full pipeline on scikit-learn's digits, in minutes, without a download.", "robustfeat demo", _add, _run
)
