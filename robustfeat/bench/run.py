"""`bench`: train and measure every student of a grid."""

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
    """What there is of a grid: the teacher's cell and those of finished students, in the grid's order, and who diverged."""

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
    """Make all students of a grid; one folder per student below `out`.

    device: where students are measured; they are trained where Accelerate puts them.
    jobs: students that are made at once, each in a process with its share of the CPU's threads. Small networks gain little from
        threads, so that on two cores two jobs take about half as long as one. Numbers may differ in the last digits from those of
        another number of threads.
    each: called whenever a student is finished, with what there is by then.

    What is finished is not made again, and what was interrupted goes on where it was. A student whose training diverges is passed
    over.

    Raises ValueError where `out` holds students that were made otherwise, ChildProcessError where a job was killed; what `train`
    and `evaluate` raise.
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
    """A longer recipe would go on with the teacher that finished students have learnt from."""
    if not (finished / hub.CARD).is_file():
        return
    theirs = hub.read_card(finished).recipe
    if theirs is not None and theirs != (mine := grid.teacher_recipe()):
        changed = [name for name, value in mine.as_dict().items() if theirs.as_dict()[name] != value]
        raise ValueError(
            f"{str(finished.parent)!r} holds a teacher that was made with another {', '.join(changed)}; "
            "choose another folder for this grid"
        )
