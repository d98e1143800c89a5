"""A command line as robustfeat itself understands it."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from typing import Any

from robustfeat.command_line.cli import parse
from robustfeat.features.recipe import Recipe
from robustfeat.objectives import OBJECTIVES


def parsed(line: str) -> tuple[str, dict[str, Any], Recipe]:
    """Objective, options and recipe that the command line makes of it."""
    program, *words = shlex.split(line)
    assert program == "robustfeat"
    command, values = parse(words)
    assert command.name == "train"
    options = {name: values[name] for name in inspect.signature(OBJECTIVES[values["objective"]]).parameters}
    recipe = Recipe(**{field.name: values[field.name] for field in dataclasses.fields(Recipe)})
    return values["objective"], options, recipe
