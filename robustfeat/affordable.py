"""Which of the published attacks can be run again in the time there is: by the passes through the model that they took."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from robustfeat.errors import IntegrityError
from robustfeat.extractor import FeatureExtractor
from robustfeat.files import write_text
from robustfeat.fixture import fixture_images
from robustfeat.progress import duration
from robustfeat.report import Report


class Part(NamedTuple):
    """One task of a report, clean and under the first of its attacks.  left_out: the others, each with the time it would take."""

    report: Report
    task: str
    attacks: tuple[str, ...]
    left_out: tuple[str, ...]


def affordable(reports: Sequence[Report], limit: int, seconds: float, speed: float) -> list[Part]:
    """Every task of every report: clean, and with as many of its attacks as there is time for.

    limit: test images.  seconds: for all attacks together.  speed: images through the model, forward, per second.

    Every task gets its first attack before any gets its second. A task's attacks are left out from the end on only: their random
    numbers depend on their place in the order.
    """
    wanted = [(report, task) for report in reports for task in dict.fromkeys(row.task for row in report.rows)]
    costs = [[(name, _passes(report, task, name, limit) / speed) for name in names(report)] for report, task in wanted]
    taken = [0] * len(wanted)
    for level in range(max(map(len, costs), default=0)):
        for i, cost in enumerate(costs):
            if taken[i] == level < len(cost) and cost[level][1] <= seconds:
                seconds -= cost[level][1]
                taken[i] += 1
    parts = []
    for (report, task), cost, count in zip(wanted, costs, taken, strict=True):
        left_out = tuple(f"{task} under {name}, about {duration(spent)}" for name, spent in cost[count:])
        parts.append(Part(report, task, tuple(name for name, _ in cost[:count]), left_out))
    return parts


def names(report: Report) -> list[str]:
    """Its attacks in their order, a ladder of sizes as one."""
    return list(dict.fromkeys(name.partition("@")[0] for name in report.attacks))


def _passes(report: Report, task: str, attack: str, limit: int) -> float:
    """Images through the model, one way back counted as two forward, for `limit` test images."""
    runs = [run for run in report.runs if run.task == task and run.attack.partition("@")[0] == attack]
    images = int(report.data["test"]["images"])
    return sum(run.forwards + 2 * run.backwards for run in runs) * min(limit, images) / images


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
