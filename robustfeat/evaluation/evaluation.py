"""Every choice of an evaluation but the model, once: flags, reports and cards hold these, and can be measured by again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from robustfeat.attacks import ATTACKS, Attack, Threat, Transfer
from robustfeat.backbones.architecture import Architecture
from robustfeat.data import ImageDataset, dataset, with_outliers
from robustfeat.evaluation.evaluator import evaluate
from robustfeat.evaluation.sizes import ladder
from robustfeat.features import hub
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.patches import PatchExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.report import Report, Setup
from robustfeat.tasks import CLASSIC
from robustfeat.tasks.base import Task
from robustfeat.tasks.names import named


class Prepared(NamedTuple):
    """The first arguments of `evaluate`, in their order: unfitted tasks, images to fit on and to measure, attacks by name."""

    extractor: FeatureExtractor
    tasks: list[Task]
    train: ImageDataset
    test: ImageDataset
    attacks: dict[str, Attack | Sequence[Attack]]


@dataclass(frozen=True)
class Evaluation(Setup):
    """What is measured, on what, under which attacks: a `Setup` that can be run.

    Raises ValueError for a limit below 1.
    """

    task: tuple[str, ...] = CLASSIC

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1, got {self.limit}")

    @classmethod
    def again(cls, report: Report) -> Evaluation:
        """The one that a report was made by. Raises ValueError for a report that does not say it."""
        if report.setup is None:
            raise ValueError(f"the report on {report.measured_on} does not say how it was measured; evaluate again")
        return cls.of(report.setup.as_dict())

    def setup(self) -> Setup:
        """What a report says about it."""
        return Setup(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Setup)})

    def attack_named(self, name: str) -> Attack:
        """An attack with those of the options that it has."""
        cls = ATTACKS[name]
        options = {field.name: getattr(self, field.name, None) for field in dataclasses.fields(cls)}
        chosen = {name: value for name, value in options.items() if value is not None}
        return cls(threat=Threat(self.norm, self.eps), **chosen)  # type: ignore[arg-type]

    def attacks(self) -> dict[str, Attack | Sequence[Attack]]:
        """Attacks by name: a ladder of each where there is a curve, and each from another model where there is a source."""
        found = {name: self.attack_named(name) for name in self.attack}
        if self.source is not None:
            source = hub.load(self.source)
            for name in self.attack:
                found[f"{name}-from-{source.card.name}"] = Transfer(found[name].threat, found[name], source)
        if self.curve is None:
            return dict(found)
        sizes = [Eps(size) for size in self.curve.split(",")]
        return {name: ladder(attack, sizes) for name, attack in found.items()}

    def tasks(self) -> list[Task]:
        """Unfitted tasks."""
        return [named(name) for name in self.task]

    def learnt(self, architecture: Architecture) -> ImageDataset:
        """The images that tasks are fitted on, as the architecture wants them."""
        train = self._read(self.data, self.train, architecture, self.image, self.label)
        return train if self.shots is None else train.shots(self.shots, self.seed)

    def measured(self, architecture: Architecture, learnt: ImageDataset) -> ImageDataset:
        """The images that are measured; learnt: whose classes are no outliers."""
        test = self._read(self.data, self.test, architecture, self.image, self.label).head(self.limit)
        if self.outliers is None:
            return test
        outliers = self._read(self.outliers, "test", architecture).head(self.limit)
        return with_outliers(test, outliers, classes=int(learnt.require_labels().max()) + 1)

    def _read(
        self, name: str, split: str, architecture: Architecture, image: str | None = None, label: str | None = None
    ) -> ImageDataset:
        size, framing = architecture.image_size, architecture.framing
        return dataset(name, split, image_size=size, framing=framing, image=image, label=label, on_error=self.on_error)

    def prepared(self, extractor: FeatureExtractor) -> Prepared:
        """What `evaluate` and `recount` take."""
        attacks, tasks = self.attacks(), self.tasks()
        extractor = extractor.sized(self.image_size)
        if self.patches:
            extractor = PatchExtractor(extractor)
        architecture = extractor.card.architecture
        train = self.learnt(architecture)
        test = self.measured(architecture, train)
        return Prepared(extractor, tasks, train, test, attacks)

    def run(
        self,
        extractor: FeatureExtractor,
        *,
        records: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> Report:
        """The report, which says that it was made by this. records, cache, progress: as for `evaluate`."""
        report = evaluate(
            *self.prepared(extractor),
            batch_size=self.batch_size,
            seed=self.seed,
            examined=self.examined,
            records=records,
            cache=cache,
            progress=progress,
        )
        return dataclasses.replace(report, setup=self.setup())
