"""Every choice of an evaluation but the model, once: flags, reports and cards hold these, and can be measured by again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from robustfeat.attacks import ATTACKS, Attack, Threat, Transfer
from robustfeat.backbones.architecture import Architecture
from robustfeat.data import ImageDataset, dataset, with_outliers
from robustfeat.evaluation.evaluator import evaluate
from robustfeat.evaluation.sizes import ladder
from robustfeat.features import hub
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.patches import PatchExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.report import Report
from robustfeat.tasks import CLASSIC
from robustfeat.tasks.base import Task
from robustfeat.tasks.names import named


@dataclass(frozen=True)
class Evaluation:
    """What is measured, on what, under which attacks; `robustfeat evaluate --help` says more about each.

    data, image, label, on_error: what `robustfeat.dataset` reads.  train, test: splits to fit on and to measure.
    image_size: to which images are scaled; None is that of the model.
    task, attack: names; `task` may have arguments, as in "anomaly:gmm".  outliers: a data set that is added as anomalies.
    norm, eps, steps, restarts, queries: of the attacks that have them; None is each attack's own.
    curve: several eps, such as "1/255,2/255".  source: another model that the attacks are made on as well.
    patches: maps of the middle stages as features.  shots: training images of each class.  limit: test images.
    batch_size, seed, examined: arguments of `evaluate`.

    Raises ValueError for a limit below 1.
    """

    data: str
    image: str | None = None
    label: str | None = None
    train: str = "train"
    test: str = "test"
    task: tuple[str, ...] = CLASSIC
    attack: tuple[str, ...] = ()
    outliers: str | None = None
    norm: Literal["linf", "l2"] = "linf"
    eps: Eps | None = None
    curve: str | None = None
    source: str | None = None
    steps: int | None = None
    restarts: int | None = None
    queries: int | None = None
    patches: bool = False
    shots: int | None = None
    limit: int | None = None
    batch_size: int = 256
    seed: int = 0
    examined: int = 16
    image_size: int | None = None
    on_error: Literal["raise", "skip"] = "raise"

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1, got {self.limit}")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Evaluation:
        """From flags, or from what a report holds: entries that are no choice of an evaluation are passed over."""
        known = {field.name for field in dataclasses.fields(cls)}
        chosen = {name: value for name, value in values.items() if name in known}
        chosen["task"] = tuple(chosen.get("task") or CLASSIC)
        chosen["attack"] = tuple(chosen.get("attack") or ())
        chosen["eps"] = None if chosen.get("eps") is None else Eps(chosen["eps"])
        return cls(**chosen)

    def as_dict(self) -> dict[str, Any]:
        """JSON values; eps as it is printed, so that reading it back gives the same float."""
        eps = None if self.eps is None else repr(self.eps)
        return dataclasses.asdict(self) | {"task": list(self.task), "attack": list(self.attack), "eps": eps}

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

    def arguments(self, extractor: FeatureExtractor) -> dict[str, Any]:
        """The arguments of `evaluate` and `recount`: the extractor, tasks, train, test and attacks."""
        attacks, tasks = self.attacks(), self.tasks()
        extractor = extractor.sized(self.image_size)
        if self.patches:
            extractor = PatchExtractor(extractor)
        architecture = extractor.card.architecture
        train = self.learnt(architecture)
        test = self.measured(architecture, train)
        return {"extractor": extractor, "tasks": tasks, "train": train, "test": test, "attacks": attacks}

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
            **self.arguments(extractor),
            batch_size=self.batch_size,
            seed=self.seed,
            examined=self.examined,
            records=records,
            cache=cache,
            progress=progress,
        )
        return dataclasses.replace(report, setup=self.as_dict())
