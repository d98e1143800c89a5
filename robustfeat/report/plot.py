"""This module plots the metrics of each task, clean and under attack at one or several sizes, for several models."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robustfeat.report.report import Report
from robustfeat.report.row import CLEAN
from robustfeat.runtime.files import atomic_file


def plot_robustness(
    reports: Sequence[Report], headline: Mapping[str, str], attack: str, path: str | os.PathLike[str]
) -> None:
    """Draw bars for the headline metric of each task: pale for clean, full for `attack`, with 95 % intervals.

    Args:
        reports: one report per model.
        headline: the metric of each task.
        attack: the name of the attack in the reports.
        path: a .png or .svg file.
    """
    figure, (axes,) = figure_of(2.6 + 2.2 * len(headline), 1)
    width = 0.8 / max(1, len(reports))
    for i, report in enumerate(reports):
        for j, (task, metric) in enumerate(headline.items()):
            x = j + (i - (len(reports) - 1) / 2) * width
            for name, alpha in ((CLEAN, 0.3), (attack, 1.0)):
                found = report.rows_at(task, metric, name)
                if len(found) != 1:  # not measured, or at several sizes, which `plot_curves` draws
                    continue
                (row,) = found
                whisker = [[max(0, row.value - row.low)], [max(0, row.high - row.value)]]
                label = report.model if (j, name) == (0, attack) else None
                axes.bar(x, row.value, width * 0.92, color=f"C{i}", alpha=alpha, label=label)
                axes.errorbar(x, row.value, whisker, color="black", capsize=2, linewidth=0.8)
    axes.set_xticks(range(len(headline)), [f"{task}\n{metric}" for task, metric in headline.items()])
    axes.set_ylim(0, 1.02)
    axes.set_ylabel(f"pale: clean, full: under {attack}")
    axes.set_title(f"{reports[0].threat}" if reports else "")
    save_figure(figure, path)


def plot_curves(
    reports: Sequence[Report], headline: Mapping[str, str], attack: str, path: str | os.PathLike[str]
) -> None:
    """Draw the headline metric of each task against eps, from 0 on, with 95 % intervals, one panel per task.

    Args:
        reports: one report per model.
        headline: the metric of each task.
        attack: an attack that was run at several sizes.
        path: a .png or .svg file.

    Raises:
        ValueError: if no report has the attack.
    """
    figure, panels = figure_of(1.4 + 2.6 * len(headline), len(headline))
    drawn = False
    for axes, (task, metric) in zip(panels, headline.items(), strict=True):
        for report in reports:
            found = [row for name in (CLEAN, attack) for row in report.rows_at(task, metric, name)]
            points = sorted((row.eps or 0.0, row.value, row.low, row.high) for row in found)
            drawn |= len(points) > 1
            sizes, values, low, high = zip(*points, strict=True) if points else ((),) * 4
            pixels = [255 * size for size in sizes]
            (line,) = axes.plot(pixels, values, marker=".", label=report.model)
            axes.fill_between(pixels, low, high, color=line.get_color(), alpha=0.15)
        axes.set_ylim(0, 1.02)
        axes.set_title(f"{task}: {metric}", fontsize=9)
        axes.set_xlabel("eps, in 1/255")
    if not drawn:
        raise ValueError(f"there is no attack {attack!r} in the reports; evaluate with --curve")
    save_figure(figure, path)


def figure_of(width: float, panels: int, height: float = 3.4) -> tuple[Any, list[Any]]:
    """Return a figure without a window, and its panels side by side; sizes are in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False).flat)


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write the figure to a .png or .svg file, with a legend that names each model once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(found.values(), found.keys(), loc="outside right upper", frameon=False, fontsize=8)
    target = Path(path)
    with atomic_file(target) as temporary:
        figure.savefig(temporary, dpi=130, format=target.suffix.lstrip(".") or "png")
