"""This module plots robustness against training time."""

from __future__ import annotations

import math
import os

from robustfeat.bench.summary import Summary
from robustfeat.report.plot import figure_of, save_figure

MARKERS = "os^Dv*P"  # one per student


def plot_cost(summary: Summary, path: str | os.PathLike[str], number: str = "probe robust") -> None:
    """Plot one point per method and student, with standard deviations over seeds; the teacher is a line.

    Args:
        summary: the summary of the bench.
        path: a .png or .svg file.
        number: the number on the vertical axis, against minutes of training.
    """
    figure, (axes,) = figure_of(7.0, 1, height=4.2)
    students = list(dict.fromkeys(line.student for line in summary.lines if "minutes" in line.numbers))
    for line in summary.lines:
        mean, sd = line.numbers[number]
        if "minutes" not in line.numbers:
            axes.axhline(mean, color="grey", linestyle="--", linewidth=1, label="teacher")
            continue
        minutes, spread = line.numbers["minutes"]
        marker = MARKERS[students.index(line.student) % len(MARKERS)]
        colour = "C3" if line.method == summary.champion else "C0"
        bars = [0 if math.isnan(value) else value for value in (spread, sd)]
        axes.errorbar(minutes, mean, xerr=bars[0], yerr=bars[1], fmt=marker, color=colour, capsize=2, markersize=4)
        axes.annotate(line.method, (minutes, mean), textcoords="offset points", xytext=(5, 4), fontsize=7)
    for student, marker in zip(students, MARKERS * len(students), strict=False):
        axes.plot([], [], marker, color="grey", markersize=4, label=student)
    axes.legend(fontsize=7)
    axes.set_xlabel("minutes of training")
    axes.set_ylabel(f"{number} ({summary.attack})")
    axes.set_ylim(bottom=0)
    save_figure(figure, path)
