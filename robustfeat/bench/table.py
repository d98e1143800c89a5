"""This module formats a summary for a terminal, as Markdown and as JSON values."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from robustfeat.bench.measure import FINAL
from robustfeat.bench.summary import Line, Summary
from robustfeat.report import aligned


def as_dict(summary: Summary) -> dict[str, Any]:
    """Return JSON values; undefined values (the standard deviation of one seed) are null."""
    values = dataclasses.asdict(summary)
    for line in values["lines"]:
        line["numbers"] = {
            name: {"mean": mean, "sd": None if math.isnan(sd) else sd} for name, (mean, sd) in line["numbers"].items()
        }
    for advantage in values["advantages"]:
        advantage["spread"] = None if math.isnan(advantage["spread"]) else advantage["spread"]
    return values


def text(summary: Summary) -> str:
    """Return the summary as text for a terminal."""
    return "\n".join([aligned(_cells(summary)), "", *_notes(summary)])


def markdown(summary: Summary, title: str) -> str:
    """Return the summary as a Markdown page."""
    head, *body = _cells(summary)
    lines = [f"# {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(line) + " |" for line in body]
    return "\n".join([*lines, "", *(f"- {note}" for note in _notes(summary))]) + "\n"


def _cells(summary: Summary) -> list[list[str]]:
    names = list(dict.fromkeys(name for line in summary.lines for name in line.numbers))
    shown = [summary.attack if name == FINAL else name for name in names]
    return [["method", "student", "seeds", *shown], *[_row(line, names) for line in summary.lines]]


def _row(line: Line, names: list[str]) -> list[str]:
    cells = [line.method, line.student, str(line.seeds)]
    for name in names:
        if name not in line.numbers:
            cells.append("")
            continue
        mean, sd = line.numbers[name]
        digits = 1 if name == "minutes" else 0 if name == "images/s" else 3
        cells.append(f"{mean:.{digits}f}" + ("" if math.isnan(sd) else f" ± {sd:.{digits}f}"))
    return cells


def _notes(summary: Summary) -> list[str]:
    notes = [
        "mean ± standard deviation over seeds; clean to "
        + summary.attack
        + " are of the model's own classifier, the others of tasks "
        f"on its features; robust is under {summary.attack}"
    ]
    for a in summary.advantages:
        notes.append(
            f"{summary.champion} over {a.over} ({a.student}), robust probe: {a.difference:+.3f}"
            + ("" if math.isnan(a.spread) else f" ± {a.spread:.3f} over seeds")
            + f", p {a.p:.2g} for these trained models, {a.holm:.2g} after Holm's correction"
        )
    notes += [f"! no numbers of {student}" for student in summary.diverged]
    return notes + [f"! {warning}" for warning in summary.warnings]
