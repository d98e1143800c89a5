"""One picture: what each task is worth clean and under attack, models side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

from robustfeat.files import atomic_file
from robustfeat.report.report import Report


def plot_robustness(
    reports: Sequence[Report], headline: Mapping[str, str], attack: str, path: str | os.PathLike[str]
) -> None:
    """Bars for the headline metric of each task: pale is clean, full is under `attack`, whiskers are 95 % intervals.

    headline: task -> metric.  path: a .png or .svg file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 + 2.2 * len(headline), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    width = 0.8 / max(1, len(reports))
    for i, report in enumerate(reports):
        for j, (task, metric) in enumerate(headline.items()):
            x = j + (i - (len(reports) - 1) / 2) * width
            for name, alpha in (("none", 0.3), (attack, 1.0)):
                row = next((r for r in report.rows if (r.task, r.metric, r.attack) == (task, metric, name)), None)
                if row is None:
                    continue
                whisker = [[max(0, row.value - row.low)], [max(0, row.high - row.value)]]
                label = report.model if (j, name) == (0, attack) else None
                axes.bar(x, row.value, width * 0.92, color=colours[i % 10], alpha=alpha, label=label)
                axes.errorbar(x, row.value, whisker, color="black", capsize=2, linewidth=0.8)
    axes.set_xticks(range(len(headline)), [f"{task}\n{metric}" for task, metric in headline.items()])
    axes.set_ylim(0, 1.02)
    axes.set_ylabel(f"pale: clean, full: under {attack}")
    axes.set_title(f"{reports[0].threat}" if reports else "")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    target = Path(path)
    with atomic_file(target) as temporary:
        figure.savefig(temporary, dpi=130, format=target.suffix.lstrip(".") or "png")
