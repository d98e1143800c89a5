"""The rows of a report as Markdown tables: attacks side by side, or one attack against eps; and what exactly ran."""

from __future__ import annotations

from robustfeat.report import Report, Row

Cells = dict[tuple[str, str, str], dict[str, Row]]
"""(task, metric, which cases were attacked) -> attack -> row."""


def _cells(report: Report, attacks: list[str]) -> Cells:
    """Rows by what they measure; those that none of these attacks has touched are not there."""
    found: Cells = {}
    for row in report.rows:
        attack, column = report.attack_of(row)
        if attack in attacks:
            found.setdefault((row.task, row.metric, column), {})[attack] = row
    return found


def results_table(report: Report) -> list[str]:
    """One line per metric: clean, then under each attack of one size; empty for a report that is all curve."""
    attacks = [name for name in report.attacks if not is_rung(name)]
    if not attacks and report.attacks:
        return []
    return _table(_cells(report, ["none", *attacks]), {"none": "clean"} | {name: name for name in attacks})


def curve_table(report: Report) -> dict[str, list[str]]:
    """Ladder -> one line per metric that it attacks, one column per size; 0 is the clean row."""
    ladders: dict[str, dict[str, str]] = {}
    for name in filter(is_rung, report.attacks):
        ladder, _, size = name.partition("@")
        ladders.setdefault(ladder, {"none": "0"})[name] = size
    tables = {}
    for ladder, sizes in ladders.items():
        cells = _cells(report, list(sizes))
        touched = {key: rows for key, rows in cells.items() if rows.keys() != {"none"}}
        tables[ladder] = _table(touched, sizes)
    return tables


def is_rung(attack: str) -> bool:
    """Whether an attack's name is that of one size of a ladder."""
    return "@" in attack


def _table(cells: Cells, columns: dict[str, str]) -> list[str]:
    lines = ["| task | metric | " + " | ".join(columns.values()) + " | n |", "|" + "---|" * (len(columns) + 3)]
    for (task, metric, column), rows in cells.items():
        what = f"{metric}, only {column} attacked" if column else metric
        values = [with_interval(rows[name]) if name in rows else "" for name in columns]
        lines.append(f"| {task} | {what} | " + " | ".join(values) + f" | {max(row.n for row in rows.values()):,} |")
    return lines


def with_interval(row: Row) -> str:
    """A value and its 95 % interval."""
    return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def ran(report: Report) -> list[str]:
    """What exactly ran, and where: a budget stands for another attack on each task."""
    lines = [
        f"- attack {name}: `{configuration}`" for name, configuration in report.attacks.items() if not is_rung(name)
    ]
    plans: dict[tuple[str, str], dict[str, None]] = {}
    for run in report.runs:
        if run.configuration != report.attacks.get(run.attack) and not is_rung(run.attack):
            plans.setdefault((run.attack, run.configuration), {})[run.task] = None
    return lines + [
        f"- attack {attack} on {', '.join(tasks)}: `{configuration}`"
        for (attack, configuration), tasks in plans.items()
    ]
