"""The command `robustfeat results` prints the published models side by side."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result


def _add(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--write",
        type=str | None,
        default=None,
        help="a checkout: write its docs/experiments/results.md and the table in its README.md from the cards in its pretrained/",
    )


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.publishing.results import published, table, write

    if values["write"] is not None:
        paths = [str(path) for path in write(values["write"])]
        return Result("\n".join(paths), paths)
    cards = published()
    return Result(table(cards), [card.name for card in cards])


COMMAND = Command(
    "results",
    "Print the published models side by side as Markdown, or write that into a checkout.",
    "robustfeat results",
    _add,
    _run,
)
