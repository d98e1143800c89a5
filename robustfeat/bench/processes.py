"""This module trains and measures several students of a grid at once, each in a process on this machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import torch

from robustfeat.bench.cell import Cell
from robustfeat.bench.grid import Grid
from robustfeat.bench.students import Diverged, Place, Students

_students: Students | None = None  # of a worker process


def in_processes(
    jobs: int, grid: Grid, teacher: str, out: Path, device: str, todo: list[Place], *, quiet: bool
) -> Iterator[Cell | Diverged]:
    """Yield the result of each student in `todo` as soon as it is finished.

    Args:
        jobs: the number of processes, which share the CPU's threads evenly.
        grid: the grid.
        teacher: the folder or name of the teacher.
        out: the folder of the bench.
        device: the device of measurements.
        todo: the students.
        quiet: whether to hide progress.

    Raises:
        ChildProcessError: if a process was killed.
    """
    threads = max(1, torch.get_num_threads() // jobs)
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of torch hold
    arguments = (grid, teacher, out, device, quiet, threads)
    with (
        _threads(threads),
        ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=arguments) as pool,
    ):
        waiting, running = deque(todo), set[Future[Cell | Diverged]]()
        try:
            while waiting or running:
                # No more than are at work: what the pool has accepted it finishes, also after an error or Ctrl-C.
                while waiting and len(running) < jobs:
                    running.add(pool.submit(_make, waiting.popleft()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    yield one.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a process of the bench ended early (killed, or short of memory); the same command goes on where it was"
            ) from error


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Set the number of threads for libraries that are loaded in new processes."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(number)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _begin(grid: Grid, teacher: str, out: Path, device: str, quiet: bool, threads: int) -> None:
    global _students
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    _students = Students(grid, teacher, out, device, quiet=quiet)


def _end_with_parent() -> None:
    """End this worker when its parent process ends; otherwise it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(place: Place) -> Cell | Diverged:
    assert _students is not None
    return _students.attempt(place)
