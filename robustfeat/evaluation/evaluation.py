"""The settings of an evaluation except for the model; flags, reports and cards share them, so an evaluation can be repeated."""

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
    """The first arguments of `evaluate`, in their order.

    Args:
        extractor: the model to evaluate.
        tasks: unfitted tasks.
        train: the images that the tasks are fitted on.
        test: the images that are measured.
        attacks: attacks or ladders of attacks by name.
    """

    extractor: FeatureExtractor
    tasks: list[Task]
    train: ImageDataset
    test: ImageDataset
    attacks: dict[str, Attack | Sequence[Attack]]


@dataclass(frozen=True)
class Evaluation(Setup):
    """A `Setup` that can be run: the tasks, the data and the attacks of an evaluation.

    Raises:
        ValueError: if `limit` is below 1.
    """

    task: tuple[str, ...] = CLASSIC

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1, got {self.limit}")

    @classmethod
    def again(cls, report: Report) -> Evaluation:
        """Return the evaluation that created a report.

        Raises:
            ValueError: if the report does not contain its setup.
        """
        if report.setup is None:
            raise ValueError(f"the report on {report.measured_on} does not say how it was measured; evaluate again")
        return cls.of(report.setup.as_dict())

    def setup(self) -> Setup:
        """Return the settings as a report stores them."""
        return Setup(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Setup)})

    def attack_named(self, name: str) -> Attack:
        """Return an attack by its registered name, with those settings that it has as options."""
        cls = ATTACKS[name]
        options = {field.name: getattr(self, field.name, None) for field in dataclasses.fields(cls)}
        chosen = {name: value for name, value in options.items() if value is not None}
        return cls(threat=Threat(self.norm, self.eps), **chosen)  # type: ignore[arg-type]

    def attacks(self) -> dict[str, Attack | Sequence[Attack]]:
        """Return the attacks by name.

        With `curve`, each is a ladder of attacks; with `source`, each also runs as a transfer attack from that model.
        """
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
        """Return the unfitted tasks."""
        return [named(name) for name in self.task]

    def learnt(self, architecture: Architecture) -> ImageDataset:
        """Return the images that tasks are fitted on, with the size and framing of the architecture."""
        train = self._read(self.data, self.train, architecture, self.image, self.label)
        return train if self.shots is None else train.shots(self.shots, self.seed)

    def measured(self, architecture: Architecture, learnt: ImageDataset) -> ImageDataset:
        """Return the images that are measured, with the size and framing of the architecture.

        Args:
            architecture: the architecture of the model.
            learnt: the training images; images of their classes are not outliers.
        """
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
        """Return the first arguments of `evaluate` and `recount` for an extractor."""
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
        """Evaluate an extractor and return the report, which stores these settings.

        Args:
            extractor: the model to evaluate.
            records: a folder for finished batches, as for `evaluate`.
            cache: a folder for features, as for `evaluate`.
            progress: whether progress bars are shown.
        """
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
