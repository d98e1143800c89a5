"""What an evaluation says: JSON, Markdown, a table for the terminal, plots."""

from robustfeat.report.plot import plot_robustness
from robustfeat.report.report import Ran, Report, markdown, table

__all__ = ["Ran", "Report", "markdown", "plot_robustness", "table"]
