"""What an evaluation says: JSON, Markdown, a table for the terminal, plots."""

from robustfeat.report.map import plot_map
from robustfeat.report.plot import plot_curves, plot_robustness
from robustfeat.report.report import Ran, Report, aligned, markdown, table
from robustfeat.report.sheet import contact_sheet

__all__ = [
    "Ran",
    "Report",
    "aligned",
    "contact_sheet",
    "markdown",
    "plot_curves",
    "plot_map",
    "plot_robustness",
    "table",
]
