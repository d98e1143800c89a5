"""This module renders reports in a notebook and in the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from robustfeat.report.row import CLEAN, Row


class Shown:
    """Gives reports a summary line and an HTML table."""

    model: str
    threat: str
    rows: tuple[Row, ...]
    measured_on: Any
    label: Callable[..., str]

    def __repr__(self) -> str:
        """Return a summary such as `Report('gacd-resnet18', cifar10, linf 8/255, 12 rows, n = 1000)`."""
        counts = sorted({row.n for row in self.rows})
        n = [f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"] if counts else []
        threat = [self.threat] if self.threat else []
        rows = f"{len(self.rows)} row{'s' * (len(self.rows) != 1)}"
        return f"Report({', '.join([repr(self.model), self.measured_on, *threat, rows, *n])})"

    def _repr_html_(self) -> str:
        """Return a table with a row for each metric of each task: clean, and under each attack, with 95 % intervals."""
        attacks = list(dict.fromkeys([CLEAN, *(self._column(row) for row in self.rows)]))
        found = {(str(row.task), row.metric, self._column(row)): row for row in self.rows}
        lines = dict.fromkeys((task, metric) for task, metric, _ in found)
        head = ["task", "metric", *("clean" if attack == CLEAN else attack for attack in attacks)]
        body = [[*line, *(_number(found.get((*line, attack))) for attack in attacks)] for line in lines]
        caption = escape(repr(self))
        table = [_line("th", head), *(_line("td", cells) for cells in body)]
        return f"<table><caption>{caption}</caption>{''.join(table)}</table>"

    def _column(self, row: Row) -> str:
        """Return the displayed name of the attack of a row."""
        return self.label(*row.sized, row.column)


def _number(row: Row | None) -> str:
    return "" if row is None else f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def _line(kind: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(cell)}</{kind}>' for cell in cells)}</tr>"
