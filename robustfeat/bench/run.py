"""This module defines `bench`, which trains and measures every student of a grid."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from robustfeat.bench.cell import Cell
from robustfeat.bench.grid import Grid, Method
from robustfeat.bench.processes import in_processes
from robustfeat.bench.students import Diverged, Place, Students, places
from robustfeat.data import dataset
from robustfeat.features import hub
from robustfeat.runtime.progress import Progress
from robustfeat.training.loop import train


class Outcome(NamedTuple):
    """The results of a grid so far.

    Args:
        cells: the cell of the teacher and those of finished students, in the order of the grid.
        diverged: the students whose training failed.
    """

    cells: tuple[Cell, ...]
    diverged: tuple[Diverged, ...]


def bench(
    grid: Grid,
    out: str | os.PathLike[str],
    *,
    device: str = "cpu",
    jobs: int = 1,
    progress: bool = True,
    each: Callable[[Outcome], object] | None = None,
) -> Outcome:
    """Train and measure all students of a grid, in one folder per student below `out`.

    Finished students are kept, and interrupted ones continue where they stopped. A student whose training diverges is skipped.

    Args:
        grid: the grid.
        out: the folder of the bench.
        device: the device of measurements; Accelerate chooses the device of training.
        jobs: students that are trained at once, each in a process with its share of the CPU's threads. Small networks gain little
            from threads, so two jobs on two cores take about half as long as one. Numbers may differ in the last digits from
            those of another number of threads.
        progress: whether to show progress.
        each: called with the outcome so far whenever a student is finished.

    Returns:
        The outcome of the grid.

    Raises:
        ValueError: if `out` holds students that were made with other settings, or `jobs` is less than 1.
        ChildProcessError: if a process was killed.
        Exception: any error of `train` or `evaluate`.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    folder = Path(out)
    if grid.second is not None:
        dataset(grid.second, "test")  # rather now than after hours
    teacher = grid.teacher
    if isinstance(teacher, Method):
        _refuse_another_teacher(grid, folder / "teacher" / "last")
        teacher = str(train(teacher.make(), grid.teacher_recipe(), folder / "teacher", resume=True, quiet=not progress))
    students = Students(grid, teacher, folder, device, quiet=not progress)
    todo = places(grid)
    with Progress("bench", len(todo) + 1, "students", quiet=not progress) as bar:
        first = students.of_teacher()
        bar.advance(1)
        made = (
            map(students.attempt, todo)
            if jobs == 1
            else in_processes(jobs, grid, teacher, folder, device, todo, quiet=not progress)
        )
        outcome, cells, diverged = Outcome((first,), ()), dict[Place, Cell](), list[Diverged]()
        for found in made:
            if isinstance(found, Diverged):
                diverged.append(found)
                bar.say(f"passed over: {found}")
            else:
                cells[Place(found.seed, found.student, found.method)] = found
            outcome = Outcome((first, *(cells[place] for place in todo if place in cells)), tuple(diverged))
            if each is not None:
                each(outcome)
            bar.advance(1)
    return outcome


def _refuse_another_teacher(grid: Grid, finished: Path) -> None:
    """Refuse a changed teacher recipe, which would continue the training of the teacher of finished students."""
    if not (finished / hub.CARD).is_file():
        return
    theirs = hub.read_card(finished).recipe
    if theirs is not None and theirs != (mine := grid.teacher_recipe()):
        changed = [name for name, value in mine.as_dict().items() if theirs.as_dict()[name] != value]
        raise ValueError(
            f"{str(finished.parent)!r} holds a teacher that was made with another {', '.join(changed)}; "
            "choose another folder for this grid"
        )
