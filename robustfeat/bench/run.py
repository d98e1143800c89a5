"""`bench`: train and measure every student of a grid."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from robustfeat import hub
from robustfeat.bench.cell import Cell
from robustfeat.bench.grid import Grid, Method
from robustfeat.bench.measure import Measure
from robustfeat.data import dataset
from robustfeat.progress import Progress
from robustfeat.recipe import Recipe
from robustfeat.train import train


def bench(grid: Grid, out: str | os.PathLike[str], *, device: str = "cpu", progress: bool = True) -> list[Cell]:
    """The cells of a grid, the teacher first; one folder per student below `out`.

    device: where students are measured; they are trained where Accelerate puts them.

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
    extractor = hub.load(teacher, device=device)
    places = [(seed, student, name) for seed in grid.seeds for student in grid.students for name in grid.methods]
    measure = Measure(grid, extractor, folder / "features")
    facts = _facts(grid, extractor.digest())
    cells = []
    with Progress("bench", len(places) + 1, "students", quiet=not progress) as bar:
        path = folder / "teacher" / "cell.json"
        if not path.is_file():
            numbers, warnings = measure(extractor, path.parent)
            Cell("teacher", extractor.card.architecture.name, 0, numbers, warnings, facts).save(path)
        cells.append(Cell.load(path, facts))
        bar.advance(1)
        for seed, student, name in places:
            recipe = grid.recipe_of(grid.methods[name], student, seed, teacher)
            cells.append(_cell(name, grid.methods[name], recipe, measure, folder, facts, device, quiet=not progress))
            bar.advance(1)
    return cells


def _cell(
    name: str,
    method: Method,
    recipe: Recipe,
    measure: Measure,
    out: Path,
    facts: dict[str, Any],
    device: str,
    *,
    quiet: bool,
) -> Cell:
    """Train and measure one student, or read what was finished before."""
    folder = place(out, recipe.student, name, recipe.seed)
    objective = method.make()
    made_by = facts | {"objective": method.objective, "options": objective.options(), "recipe": recipe.as_dict()}
    made_by = json.loads(json.dumps(made_by))
    path = folder / "cell.json"
    if not path.is_file():
        extractor = hub.load(train(objective, recipe, folder, resume=True, quiet=quiet), device=device)
        training = hub.read_card(folder / "last").training
        numbers, warnings = measure(extractor, folder)
        numbers["minutes"] = training["minutes"]
        numbers["images/s"] = training["step"] * recipe.batch_size / max(60 * training["minutes"], 1e-9)
        Cell(name, recipe.student, recipe.seed, numbers, warnings, made_by).save(path)
    return Cell.load(path, made_by)


def place(out: Path, student: str, method: str, seed: int) -> Path:
    """The folder of one student."""
    return out / student / method / str(seed)


def _facts(grid: Grid, teacher: str) -> dict[str, Any]:
    """What all numbers depend on."""
    names = ("data", "train", "test", "limit", "attack", "second", "second_eps", "fit")
    values = {name: getattr(grid, name) for name in names}
    return values | {"threat": str(grid.threat()), "teacher_weights": teacher}
