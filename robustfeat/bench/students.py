"""This module trains and measures the students of a grid one after the other, each in its own folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from robustfeat.bench.cell import Cell
from robustfeat.bench.grid import Grid
from robustfeat.bench.measure import Measure
from robustfeat.features import hub
from robustfeat.runtime.errors import CollapsedError, DivergedError
from robustfeat.training.loop import train


class Place(NamedTuple):
    """Identifies a student by seed, architecture and method."""

    seed: int
    student: str
    method: str

    def folder(self, out: Path) -> Path:
        """Return the folder of the student below the folder of the bench."""
        return out / self.student / self.method / str(self.seed)


class Diverged(NamedTuple):
    """A student whose training failed, with the reason."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place.method} ({self.place.student}, seed {self.place.seed}): {self.message}"


def places(grid: Grid) -> list[Place]:
    """Return all students; all methods come before the next seed, so that a bench that is stopped early compares all of them."""
    return [Place(seed, student, name) for seed in grid.seeds for student in grid.students for name in grid.methods]


class Students:
    """Trains and measures any cell of a grid, or reads it if it is finished.

    Args:
        grid: the grid.
        teacher: the folder or name of the model that all students are trained by and compared with.
        out: the folder of the bench.
        device: the device of measurements.
        quiet: whether to hide progress.
    """

    def __init__(self, grid: Grid, teacher: str, out: Path, device: str, *, quiet: bool) -> None:
        self.grid, self.teacher, self.out, self.device, self.quiet = grid, teacher, out, device, quiet
        self.extractor = hub.load(teacher, device=device)
        self.measure = Measure(grid, self.extractor, out / "features")
        names = ("data", "train", "test", "limit", "attack", "second", "second_eps", "fit")
        shared = {name: getattr(grid, name) for name in names}
        self.facts: dict[str, Any] = shared | {
            "threat": str(grid.threat()),
            "teacher_weights": self.extractor.digest(),
        }

    def of_teacher(self) -> Cell:
        """Return the cell of the teacher."""
        path = self.out / "teacher" / "cell.json"
        if not path.is_file():
            numbers, warnings = self.measure(self.extractor, path.parent)
            Cell("teacher", self.extractor.card.architecture.name, 0, numbers, warnings, self.facts).save(path)
        return Cell.load(path, self.facts)

    def __call__(self, place: Place) -> Cell:
        """Train and measure one student, or read its cell.

        Raises:
            ValueError: if its folder holds a student that was made with other settings.
            DivergedError: if the training diverged.
            CollapsedError: if the features collapsed.
        """
        method = self.grid.methods[place.method]
        recipe = self.grid.recipe_of(method, place.student, place.seed, self.teacher)
        folder, objective = place.folder(self.out), method.make()
        made_by = self.facts | {
            "objective": method.objective,
            "options": objective.options(),
            "recipe": recipe.as_dict() | {"teacher": None},  # known by its weights, wherever it lies
        }
        made_by = json.loads(json.dumps(made_by))
        path = folder / "cell.json"
        if not path.is_file():
            trained = train(objective, recipe, folder, resume=True, quiet=self.quiet)
            training = hub.read_card(folder / "last").training
            numbers, warnings = self.measure(hub.load(trained, device=self.device), folder)
            assert training.steps is not None  # a run of this version says both
            assert training.images_per_s is not None
            steps = training.steps * recipe.batch_size / training.images_per_s
            numbers["minutes"] = (steps + (training.teacher_seconds or 0)) / 60
            numbers["images/s"] = training.images_per_s
            Cell(place.method, place.student, recipe.seed, numbers, warnings, made_by).save(path)
        return Cell.load(path, made_by)

    def attempt(self, place: Place) -> Cell | Diverged:
        """Train and measure one student; a diverged training or collapsed features are returned, so that the others continue."""
        try:
            return self(place)
        except (DivergedError, CollapsedError) as error:
            return Diverged(place, str(error))
