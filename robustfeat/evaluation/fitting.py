"""The features of both splits, and the tasks fitted on them with their cases, for the evaluated model and for surrogates."""

from __future__ import annotations

import copy
import os

import torch
from torch import Tensor

from robustfeat.data import ImageDataset
from robustfeat.data.rows import picked
from robustfeat.evaluation.pipeline import Cases, Pipeline
from robustfeat.features.cache import cached_features
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.types import Features
from robustfeat.tasks.base import Task


class Fitting:
    """The fitting of tasks on the features of a training set, and their cases on a test set.

    Args:
        train: the images that tasks are fitted on.
        test: the images that are measured.
        cache: a folder for the features of both; None disables it.
        progress: whether progress bars are shown.
    """

    def __init__(
        self, train: ImageDataset, test: ImageDataset, cache: str | os.PathLike[str] | None, *, progress: bool
    ) -> None:
        self.train, self.test, self.cache, self.progress = train, test, cache, progress
        self._features: dict[tuple[int, str], Features] = {}
        self._elsewhere: dict[tuple[int, Task], tuple[Task, Cases]] = {}

    def features(self, extractor: FeatureExtractor, data: ImageDataset) -> Features:
        """Return the features (n, d) of a data set on the CPU; they are extracted once."""
        key = id(extractor), data.fingerprint
        if key not in self._features:
            self._features[key] = torch.from_numpy(cached_features(extractor, data, self.cache, progress=self.progress))
        return self._features[key]

    def needed(self, task: Task) -> tuple[ImageDataset, ...]:
        """Return the data sets whose features a task needs; the first is the one to fit on."""
        return (self.train, self.test) if task.learns else (self.test,)

    def fit(self, extractor: FeatureExtractor, task: Task) -> Cases:
        """Fit a task in place and return its cases."""
        data, *_ = self.needed(task)
        task.to(extractor.device).fit_on(extractor, data, self.features(extractor, data).to(extractor.device))
        clean = self.features(extractor, self.test)
        rows, targets = task.cases(self.test.require_labels(), clean)
        return Cases(rows, targets, clean[rows], picked(self.test.masks, rows))

    def pipeline(self, extractor: FeatureExtractor, task: Task, cases: Cases, metric: str) -> Pipeline:
        """Return the pipeline that an attack on a metric of a fitted task raises.

        It has the cases that an attacker controls. Transfer attacks use the same cases through a surrogate model, on whose
        features a copy of the task is fitted once.

        Args:
            extractor: the model that is attacked.
            task: a task fitted on its features.
            cases: all cases of the task.
            metric: the key of the aim in `task.aims()`.
        """

        def surrogate(source: FeatureExtractor) -> Pipeline:
            if (id(source), task) not in self._elsewhere:
                source.to(extractor.device)
                other = copy.deepcopy(task)
                self.fit(source, other)
                clean = self.features(source, self.test)
                # What is asked is what was asked here: a task may choose cases by the features it sees.
                self._elsewhere[id(source), task] = other, Cases(cases.rows, cases.targets, clean[cases.rows])
            return self.pipeline(source, *self._elsewhere[id(source), task], metric)

        return Pipeline(
            extractor, task.aims()[metric], self.test, cases.take(within_reach(task, cases)), surrogate=surrogate
        )


def within_reach(task: Task, cases: Cases) -> Tensor:
    """Return which cases an attacker controls, bool (n,)."""
    return torch.stack(list(task.columns(cases.targets).values())).any(dim=0)
