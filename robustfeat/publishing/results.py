"""This module tabulates the published models from their cards: all tables with intervals on a page, and one in README.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.card.tables import alone, with_interval
from robustfeat.features.shipped import models
from robustfeat.report import CLEAN, Ran, Report, Row
from robustfeat.runtime.files import write_text

HEADLINES = {"head": "accuracy", "probe": "accuracy", "retrieval": "recall@1", "anomaly": "auroc"}
START = "<!-- results: made from the cards by `make results`, not by hand -->"
END = "<!-- end of results -->"
NONE = "No model is published with this version yet."
PAGE = Path("docs") / "experiments" / "results.md"


class Cell(NamedTuple):
    """A row and the report that it is from."""

    row: Row
    report: Report

    @property
    def doubtful(self) -> bool:
        """Whether its attack was flagged, or was not checked."""
        attacked = self.row.attack != CLEAN
        return attacked and (not self.runs or any(run.flags or run.examined == 0 for run in self.runs))

    @property
    def runs(self) -> list[Ran]:
        """The attack runs that target the number."""
        place, metrics = (self.row.task, self.row.sized), ("", self.row.metric)
        return [run for run in self.report.runs if (run.task, run.sized) == place and run.metric in metrics]


def published(folder: Path | None = None) -> list[Card]:
    """Return the cards of the models in a folder, or of the published models: teachers, students, natural ones."""
    places = (
        [hub.find(name) for name in models()] if folder is None else [p.parent for p in folder.glob(f"*/{hub.CARD}")]
    )
    cards = [hub.read_card(place) for place in places]
    return sorted(cards, key=lambda card: (card.threat == "none", bool(card.teacher), card.name))


def table(cards: Sequence[Card], *, root: str = "", intervals: bool = False) -> str:
    """Return Markdown with one table per data set; the training data of the models comes first.

    Args:
        cards: the cards of the models.
        root: the prefix of the links to the models' pages.
        intervals: whether to show intervals and the attack configurations.
    """
    if not cards:
        return NONE
    first, *others = _data_sets(cards)
    parts = [_of_data(cards, first, _columns(cards, first), root, intervals, facts=tuple(FACTS))]
    for name in others:
        if columns := _columns(cards, name):
            parts.append(_of_data(cards, name, columns, root, intervals))
    return "\n\n".join("\n".join(part) for part in parts)


def summary(cards: Sequence[Card]) -> str:
    """Return Markdown with one table, of the training data of the models, with values only."""
    if not cards:
        return NONE
    first, *_ = _data_sets(cards)
    return "\n".join(_of_data(cards, first, _columns(cards, first)))


def page(cards: Sequence[Card]) -> str:
    """Return the page of docs/ that has every table, with intervals and attack configurations."""
    head = (
        "# Results\n\nMade from the cards in `pretrained/` by `make results`, not by hand. Each model's page has the rest: all\n"
        "metrics and attacks, what exactly ran, limits, and how to check it (`robustfeat reproduce NAME --quick`).\n\n"
    )
    return head + table(cards, root="../../", intervals=True) + "\n"


def readme(text: str, cards: Sequence[Card]) -> str:
    """Replace the part of README.md between the two markers by the current table.

    Raises:
        ValueError: if a marker is missing.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(
            f"README.md has no place for the results; write {START!r} and {END!r} there, on lines of their own"
        )
    return f"{before}{START}\n\n{summary(cards)}\n\n{END}{after}"


def write(root: str | os.PathLike[str]) -> list[Path]:
    """Write both files of a checkout from the cards in its pretrained/ and return their paths."""
    cards = published(Path(root) / "pretrained")
    paths = [Path(root) / PAGE, Path(root) / "README.md"]
    texts = [page(cards), readme(paths[1].read_text(encoding="utf-8"), cards)]
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    return paths


def _data_sets(cards: Sequence[Card]) -> list[str]:
    """Return the names of all measured data sets, with the training data of the models first."""
    names = dict.fromkeys(card.data.name for card in cards if card.data)
    return list(names | dict.fromkeys(report.measured_on for card in cards for report in card.reports))


def _of_data(
    cards: Sequence[Card],
    data: str,
    columns: Mapping[str, list[Cell | None]],
    root: str = "",
    intervals: bool = False,
    *,
    facts: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the lines of one data set's table; `columns` has the numbers of `_columns`, `facts` the keys of FACTS before them."""
    found = [cell for cells in columns.values() for cell in cells if cell is not None]
    yield from (f"**{data}**{_conditions(found)}:", "")
    header = ["model", *facts, *columns]
    yield from ("| " + " | ".join(header) + " |", "|" + "---|" * len(header))
    for i, card in enumerate(cards):
        what = [FACTS[name](card) for name in facts]
        values = ["" if cells[i] is None else _shown(cells[i], intervals) for cells in columns.values()]
        yield "| " + " | ".join([f"[{card.name}]({root}pretrained/{card.name}/README.md)", *what, *values]) + " |"
    if any(cell.doubtful for cell in found):
        yield from ("", "(!) The attack showed signs of failure, or was not checked for them: the number flatters.")
    if intervals:
        yield from ("", *dict.fromkeys(line for cell in found for line in _ran(cell)))


def _columns(cards: Sequence[Card], data: str) -> dict[str, list[Cell | None]]:
    """Return a cell of each card by column title: every task clean, and under the strongest attack of each threat."""
    threats = _threats(cards, data)
    columns: dict[str, list[Cell | None]] = {}
    for task, metric in HEADLINES.items():
        columns[f"{task} {metric}, clean"] = [_cell(card, data, task, metric, CLEAN) for card in cards]
        for threat in threats:
            if attack := _strongest(cards, data, task, metric, threat):
                title = f"{task} {metric}, {attack}" + (f" {threat}" if len(threats) > 1 else "")
                columns[title] = [_cell(card, data, task, metric, attack, threat) for card in cards]
    return {title: cells for title, cells in columns.items() if any(cells)}


def _threats(cards: Sequence[Card], data: str) -> list[str]:
    """Return those of the measured threats that a model was trained for, or all if there are none."""
    measured = dict.fromkeys(
        report.threat
        for card in cards
        for report in card.reports
        if report.measured_on == data and (alone(report) or not report.attacks)
    )
    own = {card.threat for card in cards}
    return [threat for threat in measured if threat in own] or list(measured)


def _strongest(cards: Sequence[Card], data: str, task: str, metric: str, threat: str) -> str | None:
    """Return the attack that most models have in common; of several, the one with the lowest mean value."""
    left: dict[str, list[float]] = {}
    for card in cards:
        names = {sized.attack: None for report in card.reports for sized in alone(report)}
        for name in names:
            if cell := _cell(card, data, task, metric, name, threat):
                left.setdefault(name, []).append(cell.row.value)
    return min(left, key=lambda name: (-len(left[name]), sum(left[name]) / len(left[name])), default=None)


def _cell(card: Card, data: str, task: str, metric: str, attack: str, threat: str | None = None) -> Cell | None:
    """Return the row of the report on most images, of the model's own features, under the threat (None for a clean one)."""
    found = [
        Cell(row, report)
        for report in card.reports
        if report.measured_on == data and threat in (None, report.threat) and not report.patches
        for row in report.rows_at(task, metric, attack)
        if len(report.sizes(attack)) < 2
    ]
    return max(found, key=lambda cell: cell.row.n, default=None)


def _shown(cell: Cell | None, intervals: bool) -> str:
    assert cell is not None
    return (with_interval(cell.row) if intervals else f"{cell.row.value:.3f}") + (" (!)" if cell.doubtful else "")


def _conditions(cells: Sequence[Cell]) -> str:
    if not cells:
        return ", not measured"
    counts = sorted({cell.row.n for cell in cells})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    threats = dict.fromkeys(cell.report.threat for cell in cells if cell.row.attack != CLEAN)
    return f", n = {n}" + (f", threat {' or '.join(threats)}" if threats else "")


def _ran(cell: Cell) -> Iterator[str]:
    for run in cell.runs:
        yield f"- {run.attack} on {run.task}: `{run.configuration}`"


def _minutes(card: Card) -> str:
    return "" if card.training.minutes is None else f"{card.training.minutes:.0f} min"


# What a model is, as columns of a table.
FACTS: dict[str, Callable[[Card], str]] = {
    "architecture": lambda card: card.architecture.name,
    "features": lambda card: str(card.feature_dim),
    "training": _minutes,
}
