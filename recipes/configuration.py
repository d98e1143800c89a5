"""This module reads the settings of models and measurements from YAML files.

`robustfeat train --config` accepts the files of the models too.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustfeat.bench.settings import read_settings
from robustfeat.evaluation import Evaluation
from robustfeat.features.recipe import Recipe
from robustfeat.objectives import OBJECTIVES, Objective

FOLDER = Path(__file__).resolve().parent
EVALUATE = "evaluate"  # the folder of the evaluations; the others are named after objectives


@dataclass(frozen=True)
class Overrides:
    """Entries that replace those of every file, as in a rehearsal.

    Args:
        train: entries of Recipe.
        measure: entries of Evaluation.
    """

    train: dict[str, Any] = field(default_factory=dict)
    measure: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None) -> Overrides:
        """Load a YAML file.

        Raises:
            ValueError: if it has anything but mappings called train and measure.
        """
        if path is None:
            return cls()
        values = _mapping(path)
        if strange := sorted(values.keys() - {"train", "measure"}):
            raise ValueError(f"{str(path)!r} has {strange}; overrides are mappings called train and measure")
        return cls(**values)


@dataclass(frozen=True)
class Training:
    """One training run.

    Args:
        run: the name of the run, which is that of its file.
        objective: the objective.
        recipe: the recipe.
    """

    run: str
    objective: Objective
    recipe: Recipe


def trainings(model: str, overrides: Overrides) -> list[Training]:
    """Return the runs of a model, each with a new objective; the best run becomes the model.

    Args:
        model: the name of the model.
        overrides: entries that replace those of the files.

    Raises:
        ValueError: for entries that neither the objective nor Recipe has, and if the model has no file.
    """
    files = [path for path in sorted(FOLDER.glob("*/*.yaml")) if path.parent.name != EVALUATE]
    chosen = [path for path in files if path.name.split(".")[0] == model]
    if not chosen:
        raise ValueError(f"there is no file OBJECTIVE/{model}.yaml in {str(FOLDER)!r}")
    return [_training(path, overrides) for path in chosen]


def _training(path: Path, overrides: Overrides) -> Training:
    cls = OBJECTIVES[path.parent.name]
    own = set(inspect.signature(cls).parameters)
    values = _mapping(path)
    options = {name: value for name, value in values.items() if name in own}
    recipe = {name: value for name, value in values.items() if name not in own}
    try:
        return Training(path.stem, cls(**options), Recipe.from_dict(recipe | overrides.train))
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}") from error


def evaluations(overrides: Overrides) -> dict[str, Evaluation]:
    """Return the evaluations of each model by file name, in order.

    Raises:
        ValueError: for unknown entries.
    """
    known = {entry.name for entry in dataclasses.fields(Evaluation)}
    found = {}
    for path in sorted((FOLDER / EVALUATE).glob("*.yaml")):
        values = _mapping(path) | overrides.measure
        if strange := sorted(values.keys() - known):
            raise ValueError(f"{str(path)!r}: an evaluation has no entries {strange}")
        found[path.stem] = Evaluation.of(values)
    return found


def _mapping(path: Path) -> dict[str, Any]:
    values = read_settings(path)
    if not isinstance(values, dict):
        raise ValueError(f"{str(path)!r} must hold settings by name, it holds {values!r:.80}")
    return values
