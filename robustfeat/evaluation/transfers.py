"""How robustness transfers: every task on every data set, against the teacher and a natural twin, and across models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from robustfeat.evaluation.paired import check_same_images, paired
from robustfeat.numerics.eps import Eps
from robustfeat.report import CLEAN, Report, Row, Title

Reports = Mapping[str, Report]
"""The reports of one model, by the name of the data set."""


@dataclass(frozen=True)
class Transferred:
    """One task on one data set: its headline metric, clean and under attack.

    kept: robust / clean.  to_teacher, to_natural: robust, divided by the robust number of the teacher or of the natural twin.
    None where there is none to divide by, or it is 0.
    """

    model: str
    data: str
    task: Title
    metric: str
    attack: str
    eps: Eps | None
    n: int
    clean: float
    robust: float
    low: float
    high: float
    drop: float
    kept: float | None
    to_teacher: float | None
    to_natural: float | None


@dataclass(frozen=True)
class Score:
    """Of one model: the mean over tasks and data sets of robust / the teacher's robust, in [low, high] (95 %).

    The interval is over test images, drawn again for both models alike; numbers: how many went into the mean.
    """

    model: str
    value: float
    low: float
    high: float
    numbers: int


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation, across models, of robust source accuracy with one other robust number."""

    data: str
    task: Title
    metric: str
    rho: float
    models: int


@dataclass(frozen=True)
class Transfer:
    """The table, one score per model where there is a teacher, and correlations where there are three models.

    attacks: what ran.  warnings: the flags of all reports.
    """

    source: str
    attacks: tuple[str, ...]
    warnings: tuple[str, ...]
    rows: tuple[Transferred, ...]
    scores: tuple[Score, ...]
    correlations: tuple[Correlation, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def transfer(
    models: Sequence[Reports],
    source: str,
    *,
    teacher: Reports | None = None,
    natural: Reports | None = None,
    seed: int = 0,
) -> Transfer:
    """Put evaluations of models on several data sets side by side.

    models: of each, its reports by data set, all on the same images, tasks and one attack.
    source: the data set that the models were trained on; its first task is what other numbers are correlated with.
    teacher, natural: the same of these two; they count as models in the correlations.

    Raises ValueError where reports are of other images, of no or several attacks, or where a data set is missing.
    """
    if not models:
        raise ValueError("there is no model to compare; give at least one")
    everyone = list(models)
    for other in (teacher, natural):  # a teacher may be among the models
        if other is not None and all(other is not model for model in models):
            everyone.append(other)
    _check(everyone, source)
    rows = tuple(row for model in models for row in _table(model, teacher, natural))
    scores = () if teacher is None else tuple(_score(model, teacher, seed) for model in models)
    reports = [report for model in everyone for report in model.values()]
    attacks = tuple(
        dict.fromkeys(f"{sized.attack}: {what}" for report in reports for sized, what in report.attacks.items())
    )
    warnings = tuple(
        f"{report.model} on {data}, {warning}"
        for model in everyone
        for data, report in model.items()
        for warning in report.warnings()
    )
    return Transfer(source, attacks, warnings, rows, scores, _correlations(everyone, source))


def _check(everyone: Sequence[Reports], source: str) -> None:
    names = list(everyone[0])
    if source not in names:
        raise ValueError(f"there is no report on the source {source!r}, only on {names}")
    for reports in everyone:
        for name in names:
            if name not in reports:
                raise ValueError(
                    f"a model has no report on {name!r}, only on {list(reports)}; evaluate it there as well"
                )
            attacks = reports[name].attacks
            if len(attacks) != 1 or attacks != everyone[0][name].attacks:
                raise ValueError(
                    f"every report needs one attack, the same for all; {reports[name].model!r} on {name!r} has "
                    f"{list(attacks.values())}, {everyone[0][name].model!r} has {list(everyone[0][name].attacks.values())}"
                )
            check_same_images(everyone[0][name], reports[name])


class Headline(NamedTuple):
    """A task, its first metric, and the attack that it is measured under."""

    task: Title
    metric: str
    attack: str
    eps: Eps | None


def headlines(report: Report) -> list[Headline]:
    """One per task."""
    (sized,) = report.attacks
    first: dict[Title, str] = {}
    for row in report.rows:
        if row.attack == CLEAN:
            first.setdefault(row.task, row.metric)
    return [Headline(task, metric, *sized) for task, metric in first.items()]


def _at(report: Report, headline: Headline) -> Row:
    """Its row in a report that has it."""
    (row,) = report.rows_at(*headline)
    return row


def _table(model: Reports, teacher: Reports | None, natural: Reports | None) -> list[Transferred]:
    found = []
    for data, report in model.items():
        for headline in headlines(report):
            row = _at(report, headline)
            clean = report.value(row.task, row.metric)

            def ratio(other: Reports | None, at: Headline = headline, row: Row = row, data: str = data) -> float | None:
                return None if other is None else _over(row.value, other[data].value(*at))

            found.append(
                Transferred(
                    *(report.model, data, *headline, row.n),
                    *(clean, row.value, row.low, row.high),
                    drop=clean - row.value,
                    kept=_over(row.value, clean),
                    to_teacher=ratio(teacher),
                    to_natural=ratio(natural),
                )
            )
    return found


def _over(one: float, other: float) -> float | None:
    return one / other if other > 0 else None


def _score(model: Reports, teacher: Reports, seed: int) -> Score:
    """Images of one data set are drawn alike for all its tasks, images of different data sets apart."""
    values, drawn = [], []
    for number, (data, report) in enumerate(model.items()):
        for headline in headlines(report):
            mine, theirs = _at(report, headline), _at(teacher[data], headline)
            value = _over(mine.value, theirs.value)
            if value is None:
                continue
            both = paired(report, teacher[data], mine, theirs, seed + number)[headline.metric]
            values.append(value)
            drawn.append(both[:, 0] / np.where(both[:, 1] > 0, both[:, 1], np.nan))
    name = next(iter(model.values())).model
    if not values:
        raise ValueError("the teacher withstands nothing anywhere; a ratio to it means nothing")
    length = min(len(ratios) for ratios in drawn)
    means = np.nanmean([ratios[:length] for ratios in drawn], axis=0)
    low, high = (float(np.nanquantile(means, q)) for q in (0.025, 0.975))
    return Score(name, float(np.mean(values)), low, high, len(values))


def _correlations(everyone: Sequence[Reports], source: str) -> tuple[Correlation, ...]:
    """Of the first task of the source with everything else; none for fewer than three models."""
    if len(everyone) < 3:
        return ()
    first, *_ = headlines(everyone[0][source])
    anchor = [reports[source].value(*first) for reports in everyone]
    found = []
    for data, report in everyone[0].items():
        for headline in headlines(report):
            if (data, headline) == (source, first):
                continue
            others = [reports[data].value(*headline) for reports in everyone]
            rho = (
                float(spearmanr(anchor, others).statistic) if len(set(anchor)) > 1 < len(set(others)) else float("nan")
            )
            found.append(Correlation(data, headline.task, headline.metric, rho, len(everyone)))
    return tuple(found)
