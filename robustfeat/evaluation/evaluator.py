"""The evaluation of every task, clean and under every attack, white-box through the whole pipeline."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from robustfeat.attacks import Attack
from robustfeat.backbones.modes import evaluating
from robustfeat.data import ImageDataset, matched, overlap
from robustfeat.evaluation.fitting import Fitting, within_reach
from robustfeat.evaluation.flags import examined_cases
from robustfeat.evaluation.measure import measure
from robustfeat.evaluation.pipeline import Cases
from robustfeat.evaluation.records import Records
from robustfeat.evaluation.sizes import numbered, rungs_of
from robustfeat.features.card import UNTRAINED
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.types import Features
from robustfeat.report import CLEAN, CaseKey, DataFacts, Ran, Report, Row, Sized, Splits, Title
from robustfeat.report.cases import ROWS, TARGETS
from robustfeat.report.title import titled
from robustfeat.runtime.environment import environment
from robustfeat.runtime.version import __version__
from robustfeat.tasks.base import Task
from robustfeat.tasks.names import named


def evaluate(
    extractor: FeatureExtractor,
    tasks: Sequence[Task | str],
    train: ImageDataset,
    test: ImageDataset,
    attacks: Sequence[Attack] | Mapping[str, Attack | Sequence[Attack]] = (),
    *,
    batch_size: int = 256,
    seed: int = 0,
    examined: int | None = None,
    records: Records | str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Report:
    """Fit each task on the features of `train` and measure it on `test`, clean and under each attack.

    Each attack raises the task's loss of (extractor(images), targets) by the exact gradient, once per aim in `task.aims()`. Each
    row of the report has a metric of the task, n (test images) and a 95 % interval. With several processes (`accelerate launch`)
    the batches are shared and every process gets the report. It warns of test images whose pixels are in `train` as well, and
    says if classes were matched by number because one data set has no class names; otherwise they are matched by name.

    Args:
        extractor: the model to evaluate.
        tasks: unfitted tasks or their names ("probe", "anomaly:gmm").
        train: labelled images that the tasks are fitted on.
        test: labelled images that are measured.
        attacks: attacks by name, or a sequence whose names are those of the classes. A sequence under a name is a ladder
            (`ladder`): attacks of growing eps, each of which starts from the result of the previous one.
        batch_size: images per batch.
        seed: of everything random in the evaluation.
        examined: number of cases of each task and attack that are checked for signs that the attack failed; the report has them
            as flags. None takes as many as a quarter of the attack's time allows, at most 16; 0 disables the checks.
        records: a folder for finished batches (or `Records`, to keep images); a killed run continues there with equal results.
        cache: a folder for the features of both data sets, which later evaluations of this model reuse.
        progress: whether progress bars are shown.

    Raises:
        ValueError: for data without labels or with other classes, equal splits, or records of another evaluation.
        KeyError: for unknown task names.
    """
    evaluation = _Evaluation(
        extractor, tasks, train, test, attacks, batch_size, seed, examined, records, cache, progress
    )
    rows: list[Row] = []
    runs: list[Ran] = []
    with evaluating(extractor):
        for task_rows, task_runs in evaluation.tasks():
            rows += task_rows
            runs += task_runs
    threats = dict.fromkeys(str(attack.threat) for rungs in evaluation.ladders.values() for attack in rungs.values())
    return Report(
        model=extractor.card.name,
        data=Splits(
            DataFacts.of(train),
            DataFacts.of(evaluation.test, in_train=evaluation.images_in_train(), note=evaluation.note),
        ),
        threat=", ".join(threats) or "none",
        attacks=evaluation.configurations(),
        rows=tuple(rows),
        weights=evaluation.digest,
        runs=tuple(runs),
        environment=environment(extractor.device),
        cases=evaluation.cases,
        notes=tuple(limit for limit in extractor.card.limits if limit == UNTRAINED),
    )


class _Evaluation:
    """The checked arguments, the features of both splits, and the loop over tasks and attacks."""

    def __init__(
        self,
        extractor: FeatureExtractor,
        tasks: Sequence[Task | str],
        train: ImageDataset,
        test: ImageDataset,
        attacks: Sequence[Attack] | Mapping[str, Attack | Sequence[Attack]],
        batch_size: int,
        seed: int,
        examined: int | None,
        records: Records | str | os.PathLike[str] | None,
        cache: str | os.PathLike[str] | None,
        progress: bool,
    ) -> None:
        chosen = [named(task) if isinstance(task, str) else task for task in tasks]
        if not chosen:
            raise ValueError("there is no task to evaluate; give at least one")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if examined is not None and examined < 0:
            raise ValueError(f"examined must not be negative, got {examined}")
        if not isinstance(attacks, Mapping):
            attacks = dict(zip(numbered([attack.name for attack in attacks]), attacks, strict=True))
        train.require_labels()
        if len(test.require_labels()) == 0:
            raise ValueError(f"the test split of {test.name!r} is empty")
        test, self.note = matched(train, test)
        if train.fingerprint == test.fingerprint:
            raise ValueError(
                f"train and test are the same images of {test.name!r}; what is learnt by heart says nothing"
            )
        self.extractor, self.train, self.test = extractor, train, test
        self.fitting = Fitting(train, test, cache, progress=progress)
        self.digest = extractor.digest()
        self.ladders = {name: rungs_of(name, attack) for name, attack in attacks.items()}
        self.by_title = dict(zip(titled(task.title for task in chosen), chosen, strict=True))
        self.batch_size, self.seed, self.examined, self.progress = batch_size, seed, examined, progress
        self.cases: dict[CaseKey, torch.Tensor] = {}
        self.records = Records(records) if isinstance(records, str | os.PathLike) else records
        if self.records is not None:
            self.records.open(self._identity())

    def _identity(self) -> dict[str, Any]:
        """Return everything that the numbers depend on."""
        return {
            "version": __version__,
            "model": self.digest,
            "train": self.train.fingerprint,
            "test": self.test.fingerprint,
            "tasks": {title: {"name": task.name} | task.options() for title, task in self.by_title.items()},
            "attacks": {self._word(sized): text for sized, text in self.configurations().items()},
            "seed": self.seed,
            "batch_size": self.batch_size,
        }

    def images_in_train(self) -> int:
        """Return the number of test images that are also training images."""
        learns = any(task.learns for task in self.by_title.values())
        return int(overlap(self.train, self.test).sum()) if learns else 0

    def configurations(self) -> dict[Sized, str]:
        """Return the configuration of every attack at each of its sizes."""
        return {sized: attack.configuration for rungs in self.ladders.values() for sized, attack in rungs.items()}

    def _word(self, sized: Sized) -> str:
        """Return the name of an attack in the records."""
        return sized.attack if len(self.ladders[sized.attack]) == 1 else f"{sized.attack}@{sized.eps}"

    def tasks(self) -> Iterator[tuple[list[Row], list[Ran]]]:
        """Yield the rows and runs of each task, clean rows first."""
        for title, task in self.by_title.items():
            # Before the clock starts: whichever task comes first would pay for all.
            for data in self.fitting.needed(task):
                self.fitting.features(self.extractor, data)
            begin = time.monotonic()
            cases = self.fitting.fit(self.extractor, task)
            seconds = time.monotonic() - begin
            found = self._measure(CaseKey(title, "", CLEAN), task, cases, cases.clean, seconds)
            runs: list[Ran] = []
            for number, name in enumerate(self.ladders):
                for metric in task.aims():
                    attacked_rows, attacked_runs = self._attack(title, task, cases, number, name, metric)
                    found += attacked_rows
                    runs += attacked_runs
            yield found, runs

    def _attack(
        self, title: Title, task: Task, cases: Cases, number: int, name: str, metric: str
    ) -> tuple[list[Row], list[Ran]]:
        """Measure one aim of a task under one attack or one ladder of attacks."""
        begin = time.monotonic()
        rungs, what = self.ladders[name], f"{title} {metric} under {name}".replace("  ", " ")
        pipeline = self.fitting.pipeline(self.extractor, task, cases, metric)
        found = pipeline.attack(
            list(rungs.values()),
            self.batch_size,
            (self.seed, number),
            name=what,
            records=self.records,
            quiet=not self.progress,
        )
        seconds = (time.monotonic() - begin) / len(rungs)
        rows: list[Row] = []
        runs: list[Ran] = []
        for (sized, attack), attacked in zip(rungs.items(), found, strict=True):
            features = cases.clean.clone()
            features[within_reach(task, cases)] = attacked.features
            for column, mask in task.columns(cases.targets).items():
                mixed = torch.where(mask[:, None], features, cases.clean)
                rows += self._measure(CaseKey(title, metric, *sized, column), task, cases, mixed, seconds)
            checks = examined_cases(
                pipeline,
                attack,
                attacked,
                self.examined,
                (self.seed, number),
                name=f"checks of {what}",
                quiet=not self.progress,
            )
            ran = Ran(
                title,
                metric,
                *sized,
                attack.plan(pipeline.goal(slice(0, 1))).configuration,
                forwards=attacked.effort.forwards,
                backwards=attacked.effort.backwards,
                zero_gradients=attacked.effort.zero_gradients,
                rising=attacked.effort.rising,
                seconds=round(seconds, 3),
                examined=checks.cases,
                checked_seconds=round(checks.seconds, 3),
                flags=checks.flags,
            )
            runs.append(ran)
        return rows, runs

    def _measure(self, at: CaseKey, task: Task, cases: Cases, features: Features, seconds: float) -> list[Row]:
        """Return the rows of a metric (of all metrics for ""), and keep the values per case."""
        features = features.to(self.extractor.device)
        place = at._asdict()
        title, metric = place.pop("task"), place.pop("kept")
        rows, judged = measure(task, features, cases, title=title, **place, seconds=seconds, seed=self.seed)
        wanted = {row.metric for row in rows if metric in ("", row.metric)}
        # A metric that is no mean of its cases (AUROC) is computed from what the task calls otherwise.
        others = {row.metric for row in rows} - wanted
        self.cases |= {at._replace(kept=name): values for name, values in judged.items() if name not in others}
        self.cases |= {CaseKey(title, ROWS): cases.rows, CaseKey(title, TARGETS): cases.targets}
        return [row for row in rows if row.metric in wanted]
