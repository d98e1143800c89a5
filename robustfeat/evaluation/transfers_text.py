"""Text for robustness transfer, for a terminal and as Markdown."""

from __future__ import annotations

from robustfeat.evaluation.transfers import Transfer
from robustfeat.report import aligned


def transfer_text(found: Transfer) -> str:
    """Format the table, scores and correlations for a terminal."""
    return "\n".join([aligned(_cells(found)), "", *_notes(found)]).rstrip()


def transfer_markdown(found: Transfer) -> str:
    """Format the table, scores and correlations as Markdown."""
    head, *body = _cells(found)
    lines = ["# How robustness transfers", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(line) + " |" for line in body]
    return "\n".join([*lines, "", *(f"- {note}" for note in _notes(found))]).rstrip() + "\n"


def _cells(found: Transfer) -> list[list[str]]:
    header = ["model", "data", "task", "metric", "clean", "robust", "drop", "kept", "to teacher", "to natural", "n"]
    lines = [header]
    for row in found.rows:
        robust = f"{row.robust:.3f} [{row.low:.3f}, {row.high:.3f}]"
        ratios = ["" if value is None else f"{value:.2f}" for value in (row.kept, row.to_teacher, row.to_natural)]
        names = [row.model, row.data, row.task, row.metric]
        lines.append([*names, f"{row.clean:.3f}", robust, f"{row.drop:.3f}", *ratios, str(row.n)])
    return lines


def _notes(found: Transfer) -> list[str]:
    """Return the lines for the attacks, the scores, the correlations and the warnings."""
    notes = [f"attack {attack}" for attack in dict.fromkeys(found.attacks)]
    for score in found.scores:
        notes.append(
            f"{score.model}: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] of the teacher's robustness, "
            f"mean of {score.numbers} numbers"
        )
    for c in found.correlations:
        notes.append(
            f"rank correlation of robust {found.source} with robust {c.data} {c.task} {c.metric}: {c.rho:+.2f} "
            f"over {c.models} models"
        )
    return notes + [f"! {warning}" for warning in found.warnings]
