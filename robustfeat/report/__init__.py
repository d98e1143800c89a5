"""The report package writes the results of evaluations as JSON and Markdown, as tables for the terminal, and as plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.report.cases import CaseKey
    from robustfeat.report.data_facts import DataFacts, Splits
    from robustfeat.report.map import plot_map
    from robustfeat.report.plot import plot_curves, plot_robustness
    from robustfeat.report.ran import Ran
    from robustfeat.report.report import Report
    from robustfeat.report.row import CLEAN, Row, Sized
    from robustfeat.report.setup import Setup
    from robustfeat.report.sheet import contact_sheet
    from robustfeat.report.title import Title
    from robustfeat.report.words import aligned, markdown, table

__all__ = [
    "CLEAN",
    "CaseKey",
    "DataFacts",
    "Ran",
    "Report",
    "Row",
    "Setup",
    "Sized",
    "Splits",
    "Title",
    "aligned",
    "contact_sheet",
    "markdown",
    "plot_curves",
    "plot_map",
    "plot_robustness",
    "table",
]

attach(__name__)
