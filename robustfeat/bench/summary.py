"""This module summarises cells: means and standard deviations over seeds, and tests of the champion against each other method."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from robustfeat.bench.cell import Cell
from robustfeat.bench.measure import FINAL
from robustfeat.bench.run import Outcome
from robustfeat.bench.students import Place
from robustfeat.report import Report

FLIPS, BLOCK = 10_000, 500
ROBUST = " robust"  # how the names of a task's numbers under the final attack end


@dataclass(frozen=True)
class Line:
    """The numbers of a method with one student architecture.

    Args:
        method: the name of the method.
        student: the architecture.
        seeds: the number of seeds.
        numbers: the mean and the standard deviation over seeds of each number; NaN for one seed.
    """

    method: str
    student: str
    seeds: int
    numbers: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Advantage:
    """The champion's robust probe accuracy minus that of another method, over the same images and seeds.

    Args:
        student: the architecture.
        over: the other method.
        difference: the mean difference.
        spread: the standard deviation of the difference over seeds; NaN for one seed.
        p: the two-sided p-value of "no difference between these trained models", from random signs of the per-image differences
            (means over seeds). It does not account for other seeds.
        holm: the p-value after Holm's correction for all comparisons of the bench.
    """

    student: str
    over: str
    difference: float
    spread: float
    p: float
    holm: float


@dataclass(frozen=True)
class Summary:
    """The lines of the table, the advantages of the champion, and the warnings.

    Args:
        champion: the method that the others are compared with.
        attack: the name of the final attack.
        lines: the lines of the table, the teacher's first.
        advantages: the advantages of the champion.
        warnings: the signs that an attack failed.
        diverged: the students whose training failed.
    """

    champion: str
    attack: str
    lines: tuple[Line, ...]
    advantages: tuple[Advantage, ...]
    warnings: tuple[str, ...]
    diverged: tuple[str, ...] = ()


def summarise(outcome: Outcome, out: str | os.PathLike[str], champion: str) -> Summary:
    """Return means over seeds, in the order of the cells, and advantages if the champion is among the methods.

    Args:
        outcome: the outcome of the bench.
        out: the folder of the bench, which holds the values per image.
        champion: the method that the others are compared with.
    """
    cells = outcome.cells
    lines: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        lines.setdefault((cell.method, cell.student), []).append(cell)
    found = tuple(_line(method, student, same) for (method, student), same in lines.items())
    hits = {
        (method, student): {cell.seed: _hits(Path(out), cell) for cell in same}
        for (method, student), same in lines.items()
        if method != "teacher" and (champion, student) in lines
    }
    gaps = [
        (student, method, _gaps(hits[champion, student], its))
        for (method, student), its in hits.items()
        if method != champion
    ]
    attack = str(cells[0].made_by.get("attack", ""))
    warnings = tuple(f"{c.method} {c.student} {c.seed}, {w}" for c in cells for w in c.warnings)
    return Summary(champion, attack, found, _advantages(gaps), warnings, tuple(map(str, outcome.diverged)))


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return mean(values), stdev(values) if len(values) > 1 else float("nan")


def _line(method: str, student: str, cells: Sequence[Cell]) -> Line:
    """Return means over seeds; "mean robust" averages all tasks on features, including the probe on the second data set."""
    rows = [cell.numbers for cell in cells]
    robust = [mean(value for name, value in row.items() if name.endswith(ROBUST)) for row in rows]
    numbers = {name: _spread([row[name] for row in rows]) for name in rows[0]}
    return Line(method, student, len(rows), {"mean robust": _spread(robust)} | numbers)


def _gaps(mine: dict[int, np.ndarray], theirs: dict[int, np.ndarray]) -> np.ndarray:
    """Return the hits by seed, the champion's minus the other's: (common seeds, images)."""
    return np.array([mine[seed] - theirs[seed] for seed in mine if seed in theirs])


def _hits(out: Path, cell: Cell) -> np.ndarray:
    """Return which images the robust probe classifies correctly, (images,)."""
    report = Report.load(Place(cell.seed, cell.student, cell.method).folder(out) / "tasks.json")
    (row,) = report.rows_at("probe", "accuracy", FINAL)
    return report.judged(row)["accuracy"].numpy().astype(float)


def _advantages(gaps: Sequence[tuple[str, str, np.ndarray]]) -> tuple[Advantage, ...]:
    """Return the advantages for tuples of student, method and gaps (seeds, images); those without a common seed are left out."""
    compared = [one for one in gaps if len(one[2])]
    p = [sign_test(gap.mean(axis=0)) for *_, gap in compared]
    return tuple(
        Advantage(student, method, *_spread(gap.mean(axis=1).tolist()), raw, corrected)
        for (student, method, gap), raw, corrected in zip(compared, p, holm(p), strict=True)
    )


def sign_test(gaps: np.ndarray, seed: int = 0) -> float:
    """Return the two-sided p-value of a mean of 0 by random signs of the gaps (n,); 1 if all gaps are 0."""
    random, count = np.random.default_rng(seed), 0
    for _ in range(FLIPS // BLOCK):
        signs = random.integers(0, 2, size=(BLOCK, len(gaps)), dtype=np.int8) * 2 - 1
        count += int((np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12).sum())
    return (1 + count) / (1 + FLIPS)


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values with the correction of Holm 1979."""
    corrected, worst = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        worst = max(worst, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = worst
    return corrected
