"""The command `robustfeat push NAME --to ORG/REPO` uploads a model."""

from __future__ import annotations

import dataclasses
from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a model folder or a published name")
    parser.add_argument("--to", type=str, required=True, help="ORG/REPO on the Hub, created where it is not there")
    parser.add_argument("--revision", type=str | None, default=None, help="the branch (default: main)")
    parser.add_argument("--private", action="store_true", help="refuse a repository that others can read")
    parser.add_argument("--message", type=str | None, default=None, help="of the commit")


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.publishing.hub_upload import push

    options = {name: values[name] for name in ("revision", "private", "message")}
    pushed = push(values["model"], values["to"], **options)
    text = (
        f"pushed to {pushed.url}, branch {pushed.branch}, commit {pushed.commit}\n"
        f"loaded back from there: the digest of the weights is the same, {pushed.digest}\n"
        f'robustfeat.load("hf:{pushed.repo}@{pushed.commit}")'
    )
    return Result(text, dataclasses.asdict(pushed))


COMMAND = Command(
    "push",
    "Upload a model to the Hugging Face Hub, and load it back to compare.",
    "robustfeat push runs/student/best --to ORG/REPO --private",
    _add,
    _run,
)
