"""A command line as robustfeat itself understands it."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from functools import cache
from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.cli import build_parser, find_commands
from robustfeat.objectives import OBJECTIVES
from robustfeat.recipe import Recipe


@cache
def parser() -> ArgumentParser:
    return build_parser(find_commands())


def parsed(command: str) -> tuple[str, dict[str, Any], Recipe]:
    """Objective, options and recipe that the command line makes of it."""
    program, *words = shlex.split(command)
    assert program == "robustfeat"
    values = parser().parse_args(words)["train"]
    flat = values[values["objective"]]
    options = {name: flat[name] for name in inspect.signature(OBJECTIVES[values["objective"]]).parameters}
    recipe = Recipe(**{field.name: flat[field.name] for field in dataclasses.fields(Recipe)})
    return values["objective"], options, recipe
