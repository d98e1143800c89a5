"""From cells to a table: means and spreads over seeds, and whether the champion is better than each other method."""

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
    """A method on a student: number -> (mean, standard deviation over seeds; NaN for one seed)."""

    method: str
    student: str
    seeds: int
    numbers: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Advantage:
    """The champion's robust probe accuracy less another method's, over the same images and seeds.

    p: of "no difference between these trained models", from random signs of the per-image differences (means over seeds),
        two-sided. It knows nothing of other seeds.
    spread: standard deviation of the difference over seeds; NaN for one.
    holm: after Holm's correction for all comparisons of the bench.
    """

    student: str
    over: str
    difference: float
    spread: float
    p: float
    holm: float


@dataclass(frozen=True)
class Summary:
    """Lines of the table, the teacher's first, the champion's advantages, and the signs that an attack failed."""

    champion: str
    attack: str
    lines: tuple[Line, ...]
    advantages: tuple[Advantage, ...]
    warnings: tuple[str, ...]
    diverged: tuple[str, ...] = ()


def summarise(outcome: Outcome, out: str | os.PathLike[str], champion: str) -> Summary:
    """Means over seeds, in the order of the cells; advantages where the champion is among the methods.

    out: the folder of the bench, which holds the values per image.
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
    """Means over seeds; "mean robust" is that of all tasks on features, the probe on the second data set among them."""
    rows = [cell.numbers for cell in cells]
    robust = [mean(value for name, value in row.items() if name.endswith(ROBUST)) for row in rows]
    numbers = {name: _spread([row[name] for row in rows]) for name in rows[0]}
    return Line(method, student, len(rows), {"mean robust": _spread(robust)} | numbers)


def _gaps(mine: dict[int, np.ndarray], theirs: dict[int, np.ndarray]) -> np.ndarray:
    """Hits by seed, the champion's less another's: (common seeds, images)."""
    return np.array([mine[seed] - theirs[seed] for seed in mine if seed in theirs])


def _hits(out: Path, cell: Cell) -> np.ndarray:
    """Which images the robust probe gets right, (images,)."""
    report = Report.load(Place(cell.seed, cell.student, cell.method).folder(out) / "tasks.json")
    (row,) = report.rows_at("probe", "accuracy", FINAL)
    return report.judged(row)["accuracy"].numpy().astype(float)


def _advantages(gaps: Sequence[tuple[str, str, np.ndarray]]) -> tuple[Advantage, ...]:
    """gaps: student, method and (seeds, images); without a common seed nothing is compared."""
    compared = [one for one in gaps if len(one[2])]
    p = [sign_test(gap.mean(axis=0)) for *_, gap in compared]
    return tuple(
        Advantage(student, method, *_spread(gap.mean(axis=1).tolist()), raw, corrected)
        for (student, method, gap), raw, corrected in zip(compared, p, holm(p), strict=True)
    )


def sign_test(gaps: np.ndarray, seed: int = 0) -> float:
    """Two-sided p-value of a mean of 0, by giving each gap (n,) a random sign; 1 where all gaps are 0."""
    random, count = np.random.default_rng(seed), 0
    for _ in range(FLIPS // BLOCK):
        signs = random.integers(0, 2, size=(BLOCK, len(gaps)), dtype=np.int8) * 2 - 1
        count += int((np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12).sum())
    return (1 + count) / (1 + FLIPS)


def holm(p: Sequence[float]) -> list[float]:
    """Corrected p-values, Holm 1979."""
    corrected, worst = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        worst = max(worst, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = worst
    return corrected
