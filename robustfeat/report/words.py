"""This module formats reports side by side, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from robustfeat.report.report import Report


def _columns(reports: Sequence[Report]) -> list[list[str]]:
    """Return a header and one line per task, metric and attack, with the models side by side."""
    header = ["task", "metric", "attack", *[report.model for report in reports], "n"]
    lines = [header]
    named = [
        {(row.task, row.metric, report.label(*row.sized, row.column)): row for row in report.rows} for report in reports
    ]
    for key in dict.fromkeys(key for rows in named for key in rows):
        cells, n = [], 0
        for rows in named:
            row = rows.get(key)
            cells.append("" if row is None else f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]")
            n = row.n if row else n
        lines.append([*key, *cells, str(n)])
    return lines


def table(*reports: Report) -> str:
    """Return reports side by side as text for a terminal, with 95 % intervals in brackets."""
    return "\n".join([aligned(_columns(reports)), "", *_footnotes(reports)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Align a header and rows of cells in columns, for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = "  ".join("-" * width for width in widths)
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], rule, *text[1:]])


def markdown(*reports: Report, title: str = "Report") -> str:
    """Return reports side by side as Markdown."""
    head, *body = _columns(reports)
    lines = [f"# {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(line) + " |" for line in body]
    lines += ["", "Values are fractions with 95 % intervals; larger is better for the defender.", ""]
    return "\n".join(lines + [f"- {note}" for note in _footnotes(reports)]) + "\n"


def _footnotes(reports: Sequence[Report]) -> list[str]:
    """Return notes on the attacks, their cost, the data and the warnings of the reports."""
    notes: list[str] = []
    for report in reports:
        notes += [f"attack {report.label(*sized)}: {configuration}" for sized, configuration in report.attacks.items()]
    notes = list(dict.fromkeys(notes))
    # A budget names what it stands for: several tasks may have been attacked differently under one name.
    planned = {
        f"attack {report.label(*ran.sized)} on {ran.task}: {ran.configuration}"
        for report in reports
        for ran in report.runs
        if ran.configuration != report.attacks.get(ran.sized)
    }
    notes += sorted(planned)
    for report in reports:
        if report.runs:
            passes = sum(ran.forwards for ran in report.runs), sum(ran.backwards for ran in report.runs)
            seconds = sum(ran.seconds for ran in report.runs)
            checked = sum(ran.checked_seconds for ran in report.runs)
            counts = sorted({ran.examined for ran in report.runs})
            cases = (
                "no case"
                if counts[-1] == 0
                else " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) + " cases"
            )
            took = f"{seconds:.0f} s under attack; {checked:.0f} s of health checks on {cases} of each attack"
            notes.append(f"{report.model}: {passes[0]:,} images forward, {passes[1]:,} back, {took}")
        if report.features:
            numbers = ", ".join(f"{name} {value:.3f}" for name, value in report.features.items())
            notes.append(f"{report.model}, features under an attack on themselves: {numbers}")
        notes += [f"! {report.model}, {warning}" for warning in report.warnings()]
    for kind in ("train", "test"):
        facts = [found for report in reports for which, found in report.data.known() if which == kind]
        notes += [f"{kind}: {text}" for text in sorted({str(found) for found in facts})]
        notes += [f"! {kind}: {text}" for text in sorted({found.note for found in facts} - {""})]
    return notes
