"""This module selects the published attacks that can be repeated in a given time, by the passes through the model they took."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from robustfeat.features.extractor import FeatureExtractor
from robustfeat.publishing.fixture import fixture_images
from robustfeat.report import CLEAN, Report, Title
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import write_text
from robustfeat.runtime.progress import duration


class Wanted(NamedTuple):
    """A task of a report that should be measured again.

    Args:
        report: the report.
        task: the title of the task.
        learns: whether the task is fitted on features of the training images.
    """

    report: Report
    task: Title
    learns: bool


class Part(NamedTuple):
    """One task of a report, with the attacks that fit into the time.

    Args:
        report: the report.
        task: the title of the task.
        attacks: the first attacks of the report, those that fit into the time.
        left_out: the rest, each with its estimated time.
        measured: whether there is time for the task at all.
    """

    report: Report
    task: Title
    attacks: tuple[str, ...]
    left_out: tuple[str, ...]
    measured: bool


def affordable(wanted: Sequence[Wanted], limit: int, seconds: float, speed: float) -> list[Part]:
    """Return for every task whether there is time to fit it, and for how many of its attacks.

    Tasks with their first attack come first, the cheapest first; then, clean, those that did not fit with it; then second
    attacks, and so on. Features of a training set are counted once. The cheapest task is always measured clean. Attacks of a task
    are left out only from the end, because their random numbers depend on their position in the order.

    Args:
        wanted: the tasks.
        limit: the number of test images.
        seconds: the time for all tasks, including features and fits.
        speed: images through the model per second, forward.
    """
    attacks = [
        [(name, _passes(report, task, name, limit) / speed) for name in names(report)] for report, task, _ in wanted
    ]
    fits = [_fit(report, task) / speed for report, task, _ in wanted]
    data = [one.report.data.train if one.learns else None for one in wanted]
    paid: set[str] = set()  # fingerprints of the training sets whose features there are
    taken: dict[int, int] = {}  # how many attacks, of the tasks that are measured

    def cost(i: int, count: int) -> float:
        """Return the seconds for `count` attacks of task i, with its fit and its features if these are not yet paid for."""
        more = sum(spent for _, spent in attacks[i][taken.get(i, 0) : count])
        if i in taken:
            return more
        train = data[i]
        return more + fits[i] + (train.images / speed if train and train.fingerprint not in paid else 0.0)

    def take(i: int, count: int) -> None:
        taken[i] = min(count, len(attacks[i]))
        if train := data[i]:
            paid.add(train.fingerprint)

    deepest = max(map(len, attacks), default=0)
    for count in (1, 0, *range(2, deepest + 1)):
        left = {i for i in range(len(wanted)) if taken.get(i) in ({None} if count < 2 else {count - 1})}
        while left:
            i = min(left, key=lambda i: (cost(i, count), i))
            left.remove(i)
            if cost(i, count) <= seconds:
                seconds -= cost(i, count)
                take(i, count)
    if wanted and not taken:
        take(min(range(len(wanted)), key=lambda i: cost(i, 0)), 0)
    return [_part(one, attacks[i], taken.get(i), cost(i, 0)) for i, one in enumerate(wanted)]


def _part(one: Wanted, attacks: list[tuple[str, float]], count: int | None, clean: float) -> Part:
    """Return the part with the first `count` attacks; None leaves the task out, which takes `clean` seconds without attacks."""
    left_out = [f"{one.task}, about {duration(clean)}"] if count is None else []
    left_out += [f"{one.task} under {name}, about {duration(seconds)}" for name, seconds in attacks[count or 0 :]]
    done = tuple(name for name, _ in attacks[: count or 0])
    return Part(one.report, one.task, done, tuple(left_out), measured=count is not None)


def names(report: Report) -> list[str]:
    """Return the attacks of a report in order, where several sizes of an attack count as one."""
    return list(dict.fromkeys(sized.attack for sized in report.attacks))


def _passes(report: Report, task: Title, attack: str, limit: int) -> float:
    """Return the images through the model for `limit` test images; a backward pass counts as two forward passes."""
    runs = [run for run in report.runs if (run.task, run.attack) == (task, attack)]
    assert report.data.test is not None  # it was measured on some
    images = report.data.test.images
    return sum(run.forwards + 2 * run.backwards for run in runs) * min(limit, images) / images


def _fit(report: Report, task: Title) -> float:
    """Return the cost of fitting the task and measuring it clean, in images that pass through the model in that time."""
    took = sum(run.seconds for run in report.runs)
    rate = sum(run.forwards + 2 * run.backwards for run in report.runs) / took if took else 0.0
    return rate * max((row.seconds for row in report.rows if row.task == task and row.attack == CLEAN), default=0.0)


def speed(extractor: FeatureExtractor) -> float:
    """Measure how many images pass through the model per second on this machine."""
    images = fixture_images(extractor.card.architecture.image_size).repeat(64, 1, 1, 1)
    extractor.transform(images[:64])  # the first call is slower
    begin = time.monotonic()
    extractor.transform(images)
    return len(images) / max(time.monotonic() - begin, 1e-9)


def kept_speed(extractor: FeatureExtractor, folder: Path) -> float:
    """Return `speed`, measured once per folder, so that a continued call chooses the same attacks.

    Raises:
        IntegrityError: if the file in the folder does not hold a speed.
    """
    path = folder / f"speed-{extractor.device.type}.txt"
    if not path.exists():
        found = speed(extractor)
        write_text(path, f"{found}\n")
        return found
    try:
        found = float(path.read_text(encoding="utf-8"))
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise IntegrityError(f"{str(path)!r} does not hold a speed; remove it, and it is timed again")
    return found
