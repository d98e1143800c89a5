"""A card for other people's eyes: it says what was used, not where that was on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePath
from typing import Any

from robustfeat.data import is_hub_id
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.recipe import Recipe
from robustfeat.features.remote import HF
from robustfeat.features.shipped import models
from robustfeat.report import Report, Title

HEAD = "head"  # the only task whose argument is a model


def public(card: Card) -> Card:
    """The card without paths, which stand in the names of data sets and models; of a path the last part remains.

    What loads elsewhere stays: published names, hf: and timm:, and of data sets the Hub's "owner/name", unless a file or folder
    of that name lies here. A teacher or start that is a path is called as its own card calls it. The reports lose their command
    line, and their values per image.
    """
    return dataclasses.replace(
        card,
        recipe=card.recipe and _recipe(card.recipe, card),
        data=_named(card.data),
        reports=tuple(_report(report, card.name) for report in card.reports),
    )


def _recipe(recipe: Recipe, card: Card) -> Recipe:
    start, teacher = _source(recipe.start, card.start), _source(recipe.teacher, card.teacher)
    return dataclasses.replace(recipe, data=_data(recipe.data), start=start, teacher=teacher)


def _source(name: str | None, facts: dict[str, Any]) -> str | None:
    """facts: what the card says about that model."""
    if name is None or name.startswith((HF, hub.TIMM)) or name in models():
        return name
    return str(facts.get("name", _model(name)))


def _report(report: Report, model: str) -> Report:
    return dataclasses.replace(
        report,
        model=model,
        data={kind: _named(facts, report.setup.get("outliers")) for kind, facts in report.data.items()},
        rows=tuple(dataclasses.replace(row, task=_task(row.task)) for row in report.rows),
        runs=tuple(dataclasses.replace(run, task=_task(run.task)) for run in report.runs),
        setup=_setup(report.setup),
        command={},
        cases={},
    )


def _setup(setup: dict[str, Any]) -> dict[str, Any]:
    """The choices of an evaluation (`robustfeat.evaluation.Evaluation`)."""
    names = {
        "data": _data,
        "outliers": _data,
        "source": _model,
        "task": lambda tasks: list(map(_task, map(Title.read, tasks))),
    }
    return {key: names[key](value) if key in names and value is not None else value for key, value in setup.items()}


def _named(facts: dict[str, Any], outliers: str | None = None) -> dict[str, Any]:
    """Facts about a data set, which may be of two: those added as outliers are named last (`robustfeat.data.with_outliers`)."""
    if "name" not in facts:
        return facts
    name, added = str(facts["name"]), f" and {outliers}"
    if outliers is None or not name.endswith(added):
        return facts | {"name": _data(name)}
    return facts | {"name": f"{_data(name.removesuffix(added))} and {_data(outliers)}"}


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
