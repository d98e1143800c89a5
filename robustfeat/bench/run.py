"""`bench`: train and measure every student of a grid."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from robustfeat import hub
from robustfeat.attacks import Threat
from robustfeat.bench.cell import Cell
from robustfeat.bench.grid import Grid, Method
from robustfeat.bench.measure import Measure
from robustfeat.data import dataset
from robustfeat.progress import Progress
from robustfeat.recipe import Recipe
from robustfeat.train import train


def bench(grid: Grid, out: str | os.PathLike[str], *, progress: bool = True) -> list[Cell]:
    """The cells of a grid, the teacher first; one folder per student below `out`.

    What is finished is not made again, and what was interrupted goes on where it was. All methods come before the next seed, so
    that a bench that is stopped early has compared all of them.

    Raises ValueError where `out` holds students that were made otherwise; what `train` and `evaluate` raise.
    """
    folder = Path(out)
    if grid.second is not None:
        dataset(grid.second, "test")  # rather now than after hours
    teacher = grid.teacher
    if isinstance(teacher, Method):
        teacher = str(train(teacher.make(), grid.teacher_recipe(), folder / "teacher", resume=True, quiet=not progress))
    extractor = hub.load(teacher)
    places = [(seed, student, name) for seed in grid.seeds for student in grid.students for name in grid.methods]
    threat = _threat(grid, teacher)
    measure = Measure(grid, threat, extractor, folder / "features")
    facts = _facts(grid, extractor.digest())
    cells = []
    with Progress("bench", len(places) + 1, "students", quiet=not progress) as bar:
        path = folder / "teacher" / "cell.json"
        if not path.is_file():
            Cell("teacher", extractor.card.architecture.name, 0, measure(extractor, path.parent), facts).save(path)
        cells.append(Cell.load(path, facts))
        bar.advance(1)
        for seed, student, name in places:
            recipe = grid.recipe_of(grid.methods[name], student, seed, teacher)
            cells.append(_cell(name, grid.methods[name], recipe, measure, folder, facts, quiet=not progress))
            bar.advance(1)
    return cells


def _cell(
    name: str, method: Method, recipe: Recipe, measure: Measure, out: Path, facts: dict[str, Any], *, quiet: bool
) -> Cell:
    """Train and measure one student, or read what was finished before."""
    folder = place(out, recipe.student, name, recipe.seed)
    objective = method.make()
    made_by = facts | {"objective": method.objective, "options": objective.options(), "recipe": recipe.as_dict()}
    made_by = json.loads(json.dumps(made_by))
    path = folder / "cell.json"
    if not path.is_file():
        extractor = hub.load(train(objective, recipe, folder, resume=True, quiet=quiet))
        training = hub.read_card(folder / "last").training
        numbers = measure(extractor, folder)
        numbers["minutes"] = training["minutes"]
        numbers["images/s"] = training["step"] * recipe.batch_size / max(60 * training["minutes"], 1e-9)
        Cell(name, recipe.student, recipe.seed, numbers, made_by).save(path)
    return Cell.load(path, made_by)


def place(out: Path, student: str, method: str, seed: int) -> Path:
    """The folder of one student."""
    return out / student / method / str(seed)


def _threat(grid: Grid, teacher: str) -> Threat:
    """The inner attack's, which is the one that is measured."""
    recipe = grid.recipe_of(next(iter(grid.methods.values())), grid.students[0], grid.seeds[0], teacher)
    assert recipe.eps is not None  # the recipe fills it in
    return Threat(recipe.norm, recipe.eps)


def _facts(grid: Grid, teacher: str) -> dict[str, Any]:
    """What all numbers depend on."""
    names = ("data", "train", "test", "limit", "attack", "second", "second_eps", "fit")
    return {name: getattr(grid, name) for name in names} | {"teacher_weights": teacher}
