"""Robustness transfer: every task on every data set, relative to the teacher and a natural twin, and across models."""

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
    """The headline metric of one task on one data set, clean and under attack.

    The ratios are None if there is no number to divide by, or this number is 0; `low` and `high` bound `robust`.

    Args:
        kept: robust / clean.
        to_teacher: robust / the robust number of the teacher.
        to_natural: robust / the robust number of the natural twin.
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
    """The score of one model relative to the teacher.

    Args:
        value: the mean over tasks and data sets of robust / the teacher's robust.
        low: the lower end of its 95 % interval, from a paired bootstrap over test images.
        high: the upper end of this interval.
        numbers: the number of ratios in the mean.
    """

    model: str
    value: float
    low: float
    high: float
    numbers: int


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation, across models, of the robust accuracy on the source with one other robust number."""

    data: str
    task: Title
    metric: str
    rho: float
    models: int


@dataclass(frozen=True)
class Transfer:
    """The table, one score per model (with a teacher), and correlations (with three models or more).

    Args:
        attacks: the attacks that ran.
        warnings: the flags of all reports.
    """

    source: str
    attacks: tuple[str, ...]
    warnings: tuple[str, ...]
    rows: tuple[Transferred, ...]
    scores: tuple[Score, ...]
    correlations: tuple[Correlation, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return dataclasses.asdict(self)


def transfer(
    models: Sequence[Reports],
    source: str,
    *,
    teacher: Reports | None = None,
    natural: Reports | None = None,
    seed: int = 0,
) -> Transfer:
    """Compare evaluations of models on several data sets.

    Args:
        models: for each model, its reports by data set, all on the same images and tasks and under one attack.
        source: the data set that the models were trained on; other numbers are correlated with its first task.
        teacher: the reports of the teacher, which counts as a model in the correlations.
        natural: the reports of the natural twin (an ordinarily trained model), which counts as a model in the correlations.
        seed: of the bootstrap.

    Raises:
        ValueError: if reports are about different images, have no or several attacks, or a data set is missing.
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
    """A task, its first metric, and the attack under which it is measured."""

    task: Title
    metric: str
    attack: str
    eps: Eps | None


def headlines(report: Report) -> list[Headline]:
    """Return one headline per task of a report."""
    (sized,) = report.attacks
    first: dict[Title, str] = {}
    for row in report.rows:
        if row.attack == CLEAN:
            first.setdefault(row.task, row.metric)
    return [Headline(task, metric, *sized) for task, metric in first.items()]


def _at(report: Report, headline: Headline) -> Row:
    """Return the row of a headline in a report that contains it."""
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
    """Return the score; resamples are shared by the tasks of one data set, and independent across data sets."""
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
    """Correlate the first task of the source with all other numbers; empty for fewer than three models."""
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
