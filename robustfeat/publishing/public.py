"""This module removes the paths of this machine from a card before it is published."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePath

from robustfeat.data import is_hub_id
from robustfeat.features import hub
from robustfeat.features.card import Card, ModelRef
from robustfeat.features.recipe import Recipe
from robustfeat.features.remote import HF
from robustfeat.features.shipped import models
from robustfeat.report import DataFacts, Report, Setup, Splits, Title

HEAD = "head"  # the only task whose argument is a model


def public(card: Card) -> Card:
    """Return the card without paths in the names of data sets and models; of a path the last part remains.

    Names that load elsewhere stay: published names, hf: and timm:, and the Hub's "owner/name" of data sets, unless a local file
    or folder has that name. A teacher or initial model that is a path gets the name in its own card. The reports lose the paths
    of model and records, and their values per case.
    """
    return dataclasses.replace(
        card,
        recipe=card.recipe and _recipe(card.recipe, card),
        data=card.data and _named(card.data),
        reports=tuple(_report(report, card.name) for report in card.reports),
    )


def _recipe(recipe: Recipe, card: Card) -> Recipe:
    start, teacher = _source(recipe.start, card.start), _source(recipe.teacher, card.teacher)
    return dataclasses.replace(recipe, data=_data(recipe.data), start=start, teacher=teacher)


def _source(name: str | None, model: ModelRef | None) -> str | None:
    """Return the public name of a teacher or initial model; `model` is its description in the card."""
    if name is None or name.startswith((HF, hub.TIMM)) or name in models():
        return name
    return _model(name) if model is None else model.name


def _report(report: Report, model: str) -> Report:
    added = None if report.setup is None else report.setup.outliers
    return dataclasses.replace(
        report,
        model=model,
        data=Splits(**{kind: _named(facts, added) for kind, facts in report.data.known()}),
        rows=tuple(dataclasses.replace(row, task=_task(row.task)) for row in report.rows),
        runs=tuple(dataclasses.replace(run, task=_task(run.task)) for run in report.runs),
        setup=report.setup and _setup(report.setup),
        cases={},
    )


def _setup(setup: Setup) -> Setup:
    return dataclasses.replace(
        setup,
        data=_data(setup.data),
        outliers=setup.outliers and _data(setup.outliers),
        source=setup.source and _model(setup.source),
        task=tuple(map(_task, map(Title.read, setup.task))),
        model=None,
        records=None,
    )


def _named(facts: DataFacts, outliers: str | None = None) -> DataFacts:
    """Return the facts with a public name; outliers are named last if two sets are combined (`robustfeat.data.with_outliers`)."""
    name, added = facts.name, f" and {outliers}"
    if outliers is None or not name.endswith(added):
        return dataclasses.replace(facts, name=_data(name))
    return dataclasses.replace(facts, name=f"{_data(name.removesuffix(added))} and {_data(outliers)}")


def _data(name: str) -> str:
    there = Path(name).expanduser().exists()
    return name if is_hub_id(name) and not there else _last(name)


def _model(name: str) -> str:
    return name if name.startswith((HF, hub.TIMM)) else _last(name)


def _task(title: Title) -> Title:
    if title.name != HEAD or not title.argument:
        return title
    return Title(title.name, _model(title.argument), title.repetition)


def _last(path: str) -> str:
    return PurePath(path).name or path  # "." and "/" have none
