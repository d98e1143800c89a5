"""Markdown tables from the rows of a report: attacks side by side or one attack against eps, and the attacks that ran."""

from __future__ import annotations

from collections.abc import Collection

from robustfeat.report import CLEAN, Report, Row, Sized, Title

Cells = dict[tuple[Title, str, str], dict[Sized, Row]]
"""The row of each attack, by (task, metric, column of attacked cases)."""


def _cells(report: Report, attacks: Collection[Sized]) -> Cells:
    """Group the rows by what they measure; rows that none of these attacks has changed are left out."""
    found: Cells = {}
    for row in report.rows:
        if row.sized in attacks:
            found.setdefault((row.task, row.metric, row.column), {})[row.sized] = row
    return found


def results_table(report: Report) -> list[str]:
    """Return one line per metric: clean, then under each attack of one size. Empty for a report that only has curves."""
    attacks = alone(report)
    if not attacks and report.attacks:
        return []
    columns = {Sized(CLEAN): "clean"} | {sized: sized.attack for sized in attacks}
    return _table(_cells(report, columns), columns)


def curve_table(report: Report) -> dict[str, list[str]]:
    """Return for each attack of several sizes one line per attacked metric and one column per size; size 0 is the clean row."""
    tables = {}
    for attack in dict.fromkeys(sized.attack for sized in report.attacks):
        if len(sizes := report.sizes(attack)) > 1:
            columns = {Sized(CLEAN): "0"} | {Sized(attack, eps): str(eps) for eps in sizes}
            cells = _cells(report, columns)
            touched = {key: rows for key, rows in cells.items() if rows.keys() != {Sized(CLEAN)}}
            tables[attack] = _table(touched, columns)
    return tables


def alone(report: Report) -> list[Sized]:
    """Return the attacks of a report that ran at one size only."""
    return [sized for sized in report.attacks if len(report.sizes(sized.attack)) == 1]


def _table(cells: Cells, columns: dict[Sized, str]) -> list[str]:
    lines = ["| task | metric | " + " | ".join(columns.values()) + " | n |", "|" + "---|" * (len(columns) + 3)]
    for (task, metric, column), rows in cells.items():
        what = f"{metric}, only {column} attacked" if column else metric
        values = [with_interval(rows[sized]) if sized in rows else "" for sized in columns]
        lines.append(f"| {task} | {what} | " + " | ".join(values) + f" | {max(row.n for row in rows.values()):,} |")
    return lines


def with_interval(row: Row) -> str:
    """Format a value with its 95 % interval."""
    return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def ran(report: Report) -> list[str]:
    """List the exact attack configurations, with their tasks: a budget selects a different attack for each task."""
    lines = [f"- attack {sized.attack}: `{report.attacks[sized]}`" for sized in alone(report)]
    plans: dict[tuple[str, str], dict[str, None]] = {}
    for run in report.runs:
        if run.configuration != report.attacks.get(run.sized) and len(report.sizes(run.attack)) < 2:
            plans.setdefault((run.attack, run.configuration), {})[run.task] = None
    return lines + [
        f"- attack {attack} on {', '.join(tasks)}: `{configuration}`"
        for (attack, configuration), tasks in plans.items()
    ]
