"""The command `robustfeat reproduce NAME --quick | --full` measures published numbers again."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result
from robustfeat.publishing.reproduction import MINUTES, SPREAD


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a published name or a model folder")
    parser.add_argument("--quick", action="store_true", help="measure a sample of the published numbers again")
    parser.add_argument("--full", action="store_true", help="train from the recorded recipe, and measure all numbers")
    parser.add_argument(
        "--limit", type=int | None, default=None, help="test images (default: 100, with --full as many as published)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help="with --quick: tasks and attacks that do not fit in are left out, and named",
    )
    parser.add_argument(
        "--spread", type=float, default=SPREAD, help="with --full: what another training run may change in a number"
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="a folder in which a killed call goes on; needed for --full"
    )
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda, ...")


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.publishing.remeasured import full, quick
    from robustfeat.runtime.parallel import join

    if values["quick"] == values["full"]:
        raise ValueError("say what to reproduce: either --quick or --full")
    common = {"device": join(values["device"])}
    if values["full"]:
        if values["out"] is None:
            raise ValueError("--full trains a model and needs a folder for it; give one with --out")
        found = full(values["model"], values["out"], limit=values["limit"], spread=values["spread"], **common)
    else:
        limit = 100 if values["limit"] is None else values["limit"]
        found = quick(values["model"], limit=limit, minutes=values["minutes"], out=values["out"], **common)
    return Result(str(found), found.as_dict(), code=0 if found.agrees else 1)


COMMAND = Command(
    "reproduce",
    "Measure the published numbers of a model again; exit code 1 where one is not what it should be.",
    "robustfeat reproduce gacd-resnet18 --quick",
    _add,
    _run,
)
