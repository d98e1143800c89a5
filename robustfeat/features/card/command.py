"""The command line that trains a model again, reconstructed from its card."""

from __future__ import annotations

import inspect
import json
import shlex
from typing import Any

from robustfeat.features.recipe import STEM, STUDENT, Recipe
from robustfeat.objectives import OBJECTIVES


def train_command(objective: str, options: dict[str, Any], recipe: Recipe, out: str) -> str:
    """Return `robustfeat train ...` with the data and every value that differs from its default, quoted for a shell.

    Args:
        objective: the registered name of the objective.
        options: the options of the objective.
        recipe: the recipe of the run.
        out: the folder of the run.

    Raises:
        KeyError: for an unknown objective.
    """
    usual = {name: p.default for name, p in inspect.signature(OBJECTIVES[objective]).parameters.items()}
    usual |= Recipe(norm=recipe.norm).as_dict() | {"norm": Recipe.norm}  # the usual eps depends on the norm
    implied = {} if recipe.start else {"student": STUDENT, "stem": STEM}
    words = ["robustfeat", "train", objective, *_flag("data", recipe.data)]
    for name, value in (options | recipe.as_dict()).items():
        if name != "data" and (name not in usual or value not in (usual[name], implied.get(name, usual[name]))):
            words += _flag(name, value)
    return shlex.join([*words, *_flag("out", out)])


def _flag(name: str, value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value)
    return [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
