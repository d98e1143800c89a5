"""What an evaluation says: JSON, Markdown, a table for the terminal, plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.report.map import plot_map
    from robustfeat.report.plot import plot_curves, plot_robustness
    from robustfeat.report.report import Ran, Report, aligned, markdown, table
    from robustfeat.report.row import Row
    from robustfeat.report.sheet import contact_sheet

__all__ = [
    "Ran",
    "Report",
    "Row",
    "aligned",
    "contact_sheet",
    "markdown",
    "plot_curves",
    "plot_map",
    "plot_robustness",
    "table",
]

attach(__name__)
