"""This module reproduces the numbers in a card, on a sample of the images or with a model trained again from its recipe."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import torch

from robustfeat.evaluation import Evaluation, evaluate
from robustfeat.evaluation.evaluation import Prepared
from robustfeat.evaluation.measure import only_hits_and_misses
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.recipe import Recipe
from robustfeat.objectives import OBJECTIVES
from robustfeat.publishing.affordable import Part, Wanted, affordable, kept_speed, speed
from robustfeat.publishing.agreement import expected
from robustfeat.publishing.fixture import same_features
from robustfeat.publishing.reproduction import MINUTES, SPREAD, Number, Reproduction
from robustfeat.report import Report, Row
from robustfeat.report.title import titled
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.progress import Progress
from robustfeat.training.loop import train

__all__ = ["MINUTES", "SPREAD", "Number", "Reproduction", "full", "quick"]


def quick(
    name: str,
    *,
    limit: int = 100,
    minutes: float = MINUTES,
    out: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
) -> Reproduction:
    """Measure the first `limit` of the published test images again, with the published tasks, attacks and seeds.

    Args:
        name: a published name or a model folder.
        limit: test images; values are expected as of a part of the published images (`robustfeat.publishing.agreement`).
        minutes: for features, fits and attacks on this machine; all else is left out and named, except the cheapest task.
        out: a folder for features, finished batches and the speed, where an interrupted call continues. With more minutes, tasks
            that get more attacks begin anew.
        device: the device of the measurement.

    Raises:
        ValueError: if the card has no numbers with a record of how they were measured.
        IntegrityError: if the data here is not the measured data.
    """
    if limit < 1 or not minutes >= 0:
        raise ValueError(f"limit must be at least 1 and minutes not negative, got {limit} and {minutes}")
    extractor = hub.load(name, device=device)
    card = extractor.card
    reports = _measurable(card)
    same = same_features(extractor) if card.fixture is not None else None
    pace = speed(extractor) if out is None else kept_speed(extractor, Path(out))
    samples = [_Sample(report, extractor, limit) for report in reports]
    wanted = [Wanted(one.report, title, task.learns) for one in samples for title, task in one.tasks.items()]
    parts = affordable(wanted, limit, 60 * minutes, pace)
    notes = [f"left out: {part.report.measured_on}, {what}" for part in parts for what in part.left_out]
    notes += ["with --minutes more of that is measured"] if notes else []
    notes += _unmeasurable(card)
    pairs: list[tuple[Report, Row, Row, bool | None]] = []
    with _folder(out) as (folder, kept), Progress("reproduce", sum(part.measured for part in parts), "tasks") as bar:
        for number, sample in enumerate(samples):
            report = sample.report
            for part in (part for part in parts if part.report is report and part.measured):
                bar.say(f"{report.measured_on}: {part.task}, clean{''.join(f', {name}' for name in part.attacks)}")
                records = folder / "records" / quote("+".join([f"{number}-{part.task}", *part.attacks]), safe=" @:,+")
                found = sample.measure(part, records if kept else None, folder / "features")
                pairs += [(report, *pair, _kind(found, pair[1], report)) for pair in _pairs(report, found)]
                bar.advance(1)
    compared = sum(kind is not None for *_, kind in pairs)
    return Reproduction(card.name, tuple(_number(*pair, compared) for pair in pairs), tuple(notes), same)


def _measurable(card: Card) -> list[Report]:
    found = [report for report in card.reports if report.setup is not None]
    if not found:
        raise ValueError(
            f"{card.name!r} has no published numbers that say how they were measured; robustfeat publish adds those that "
            "robustfeat evaluate --out has written"
        )
    return found


def _unmeasurable(card: Card) -> list[str]:
    lost = [report for report in card.reports if report.setup is None]
    return [f"left out: a report on {report.measured_on} that does not say how it was made" for report in lost]


@contextmanager
def _folder(out: str | os.PathLike[str] | None) -> Iterator[tuple[Path, bool]]:
    """Yield a folder for features, and whether it is kept."""
    if out is not None:
        yield Path(out), True
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), False


class _Sample:
    """The first test images of a report, with its tasks and attacks."""

    def __init__(self, report: Report, extractor: FeatureExtractor, limit: int) -> None:
        self.report = report
        evaluation = Evaluation.again(report)
        prepared = evaluation.prepared(extractor)
        _check_images(report, prepared)
        fewer = dataclasses.replace(evaluation, limit=min(limit, evaluation.limit or limit))
        images = fewer.measured(prepared.extractor.card.architecture, prepared.train)
        self.prepared = prepared._replace(test=images)
        self.batch_size, self.seed = evaluation.batch_size, evaluation.seed
        self.tasks = dict(zip(titled(task.title for task in prepared.tasks), prepared.tasks, strict=True))

    def measure(self, part: Part, records: Path | None, cache: Path) -> Report:
        """Measure one task under its title in the report, which may be the second of its name."""
        task = self.tasks[part.task]
        attacks = {name: self.prepared.attacks[name] for name in part.attacks}
        prepared = self.prepared._replace(tasks=[task], attacks=attacks)
        found = evaluate(
            *prepared, batch_size=self.batch_size, seed=self.seed, examined=0, records=records, cache=cache
        )
        rows = tuple(dataclasses.replace(row, task=part.task) for row in found.rows)
        cases = {key._replace(task=part.task): values for key, values in found.cases.items()}
        return dataclasses.replace(found, rows=rows, cases=cases)


def _check_images(report: Report, prepared: Prepared) -> None:
    """Raise IntegrityError unless the images here are the training and test images of the report."""
    here = {"train": prepared.train, "test": prepared.test}
    for kind, theirs in report.data.known():
        data = here[kind]
        if data.fingerprint != theirs.fingerprint:
            raise IntegrityError(
                f"the {kind} images of {data.name!r} here ({len(data)}, fingerprint {data.fingerprint[:12]}) are not "
                f"those that were used ({theirs.images}, {theirs.fingerprint[:12]}); their numbers cannot be compared"
            )


def _pairs(report: Report, found: Report) -> Iterator[tuple[Row, Row]]:
    """Yield the rows of a report with the corresponding rows measured here."""
    for row in report.rows:
        if (here := found.like(row)) is not None:
            yield row, here


def _kind(found: Report, row: Row, report: Report) -> bool | None:
    """Return whether a metric is a rate; None if it depends on the number of images, and this number is smaller."""
    values = found.judged(row).get(row.metric)
    if values is not None:
        return only_hits_and_misses(values)
    headline = next(other.metric for other in report.rows if other.task == row.task)
    here, there = found.data.test, report.data.test
    whole = here is not None and there is not None and here.images == there.images
    return False if whole or row.metric == headline else None


def _number(report: Report, published: Row, found: Row, rate: bool | None, compared: int) -> Number:
    bounds = (None, None) if rate is None else expected(published, found, rate=rate, numbers=compared)
    return Number(report.measured_on, _under(report, published), published, found, *bounds)


def full(
    name: str,
    out: str | os.PathLike[str],
    *,
    limit: int | None = None,
    spread: float = SPREAD,
    device: torch.device | str = "cpu",
) -> Reproduction:
    """Train the model again from its recorded objective, options and recipe, and measure all published numbers.

    It becomes another model, as training amplifies rounding. A number agrees if it lies in the published interval, widened on
    both sides by `spread` and, if `limit` leaves fewer images, by half the interval found; metrics that depend on the number of
    images are then not compared. A recipe in minutes is trained for the recorded number of steps, if there is one. `out` gets
    run/ and the reports, and an interrupted call continues there; `limit` counts test images, None as many as published.
    """
    if not spread >= 0:
        raise ValueError(f"spread must not be negative, got {spread}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    published = hub.load(name)
    card = published.card
    reports = _measurable(card)
    if card.recipe is None or card.objective is None:
        raise ValueError(f"{card.name!r} does not say how it was trained; there is no recipe to repeat")
    for report in reports:  # rather now than after hours
        _check_images(report, Evaluation.again(report).prepared(published))
    recipe, notes = _same_length(card, card.recipe)
    objective = OBJECTIVES[card.objective](**card.options)
    extractor = hub.load(train(objective, recipe, Path(out) / "run", resume=True), device=device)
    notes += _other_sources(card, extractor.card)
    numbers: list[Number] = []
    with Progress("reproduce", len(reports), "reports") as bar:
        for i, report in enumerate(reports):
            evaluation = Evaluation.again(report)
            if limit is not None:
                evaluation = dataclasses.replace(evaluation, limit=min(limit, evaluation.limit or limit))
            bar.say(f"{report.measured_on}: {', '.join([*evaluation.task, *evaluation.attack])}")
            found = evaluation.run(extractor, records=Path(out) / "records" / str(i), cache=Path(out) / "features")
            found.save(Path(out) / f"report-{i}.json")
            numbers += [_near(report, found, *pair, spread) for pair in _pairs(report, found)]
            bar.advance(1)
    notes.append(
        f"another run of the same recipe, not the published model: inside is the published interval, which is over images, "
        f"widened by {spread} for another seed, processor or version (an assumption: --spread)"
    )
    return Reproduction(card.name, tuple(numbers), (*notes, *_unmeasurable(card)))


def _other_sources(recorded: Card, trained: Card) -> Iterator[str]:
    """Yield a sentence for the teacher and for the initial model, if its weights differ from the recorded ones."""
    pairs = {"teacher": (recorded.teacher, trained.teacher), "start": (recorded.start, trained.start)}
    for role, (before, here) in pairs.items():
        mine, theirs = (None if model is None else model.sha256 for model in (here, before))
        if mine != theirs:
            name = None if here is None else here.name
            yield f"the {role} {name} has other weights here ({mine}) than recorded ({theirs})"


def _same_length(card: Card, recipe: Recipe) -> tuple[Recipe, list[str]]:
    """Return the recipe in steps if it is in minutes, because minutes differ between machines."""
    steps = card.training.steps
    if recipe.minutes is None:
        return recipe, []
    if steps is None:
        return recipe, [f"the recipe counts {recipe.minutes} minutes, and how many steps that were is not recorded"]
    same = dataclasses.replace(recipe, minutes=None, max_steps=steps)
    return same, [f"trained for {steps} steps, as many as there were in the recorded {recipe.minutes} minutes"]


def _near(report: Report, again: Report, published: Row, found: Row, spread: float) -> Number:
    if _kind(again, found, report) is None:
        return Number(report.measured_on, _under(report, published), published, found)
    margin = spread + ((found.high - found.low) / 2 if found.n < published.n else 0)
    low, high = max(0.0, published.low - margin), min(1.0, published.high + margin)
    return Number(report.measured_on, _under(report, published), published, found, low, high)


def _under(report: Report, row: Row) -> str:
    return report.label(*row.sized, row.column)
