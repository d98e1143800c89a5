"""Which of the published attacks can be run again in the time there is: by the passes through the model that they took."""

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
    """A task of a report.  learns: whether it is fitted on features of the training images."""

    report: Report
    task: Title
    learns: bool


class Part(NamedTuple):
    """One task of a report, clean and under the first of its attacks.  left_out: the rest, each with the time it would take."""

    report: Report
    task: Title
    attacks: tuple[str, ...]
    left_out: tuple[str, ...]
    measured: bool
    """Whether there is time for the task at all."""


def affordable(wanted: Sequence[Wanted], limit: int, seconds: float, speed: float) -> list[Part]:
    """Every task: whether there is time to fit it, and for how many of its attacks.

    limit: test images.  seconds: for all together, features and fits included.  speed: images through the model, forward, per
    second.

    First the tasks with their first attack, cheapest first; then, clean, those that did not fit with it; then second attacks, and
    so on. Features of a training set are paid once. The cheapest task is measured clean in any case. A task's attacks are left
    out from the end on only: their random numbers depend on their place in the order.
    """
    attacks = [
        [(name, _passes(report, task, name, limit) / speed) for name in names(report)] for report, task, _ in wanted
    ]
    fits = [_fit(report, task) / speed for report, task, _ in wanted]
    data = [one.report.data.train if one.learns else None for one in wanted]
    paid: set[str] = set()  # fingerprints of the training sets whose features there are
    taken: dict[int, int] = {}  # how many attacks, of the tasks that are measured

    def cost(i: int, count: int) -> float:
        """Seconds until `count` attacks of task i are done, with its fit and its features where these are still to be paid."""
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
    """count: of attacks; None where the task is not measured.  clean: seconds without any."""
    left_out = [f"{one.task}, about {duration(clean)}"] if count is None else []
    left_out += [f"{one.task} under {name}, about {duration(seconds)}" for name, seconds in attacks[count or 0 :]]
    done = tuple(name for name, _ in attacks[: count or 0])
    return Part(one.report, one.task, done, tuple(left_out), measured=count is not None)


def names(report: Report) -> list[str]:
    """Its attacks in their order, a ladder of sizes as one."""
    return list(dict.fromkeys(sized.attack for sized in report.attacks))


def _passes(report: Report, task: Title, attack: str, limit: int) -> float:
    """Images through the model, one way back counted as two forward, for `limit` test images."""
    runs = [run for run in report.runs if (run.task, run.attack) == (task, attack)]
    assert report.data.test is not None  # it was measured on some
    images = report.data.test.images
    return sum(run.forwards + 2 * run.backwards for run in runs) * min(limit, images) / images


def _fit(report: Report, task: Title) -> float:
    """What fitting the task and measuring it clean took, in images that went through the model in that time."""
    took = sum(run.seconds for run in report.runs)
    rate = sum(run.forwards + 2 * run.backwards for run in report.runs) / took if took else 0.0
    return rate * max((row.seconds for row in report.rows if row.task == task and row.attack == CLEAN), default=0.0)


def speed(extractor: FeatureExtractor) -> float:
    """Images through the model per second, here and now."""
    images = fixture_images(extractor.card.architecture.image_size).repeat(64, 1, 1, 1)
    extractor.transform(images[:64])  # the first call is slower
    begin = time.monotonic()
    extractor.transform(images)
    return len(images) / max(time.monotonic() - begin, 1e-9)


def kept_speed(extractor: FeatureExtractor, folder: Path) -> float:
    """`speed`, timed once for a folder: who goes on there has to choose the attacks that were begun.

    Raises IntegrityError where the file of it holds something else.
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
