"""The one-class protocol: each class in turn is normal and all others are anomalous; the metrics are means over classes."""

from __future__ import annotations

import copy
from typing import Self, cast

import torch
from torch import Tensor, nn

from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks import DETECTORS, TASKS
from robustfeat.tasks.base import Task
from robustfeat.tasks.detectors.base import AnomalyDetector, attacked_sides, ranking_metrics
from robustfeat.tasks.detectors.mahalanobis import Mahalanobis
from robustfeat.tasks.metrics.delong import Ranking


@TASKS.register("anomaly")
class OneClass(Task):
    """One-class anomaly detection with one detector per class, in which all other classes are anomalous.

    A case is a test image and a detector; its target is (class of the detector, 1 if anomalous). Each image is attacked once per
    detector: to look anomalous to the detector of its own class, and normal to those of other classes. A class without images in
    the test set (or in a bootstrap resample of it) is left out of the mean.

    Args:
        detector: an unfitted detector; a copy of it is fitted for each class. None takes Mahalanobis().
        others: the number of detectors of other classes, chosen at random, that score each image besides the detector of its own
            class; with a hundred classes, all of them would require a hundred attacks per image.
        seed: of the choice of these detectors.
    """

    normal: Tensor | None
    """The classes (k,) that have a detector; None until `fit`."""

    def __init__(self, detector: AnomalyDetector | None = None, others: int = 9, seed: int = 0) -> None:
        super().__init__()
        if others < 1:
            raise ValueError(f"others must be at least 1, got {others!r}")
        self.others, self.seed = others, seed
        self.detector = Mahalanobis() if detector is None else detector
        if self.detector.needs_classes:
            raise ValueError(
                f"{type(self.detector).__name__} needs several normal classes; in the one-class protocol there is one"
            )
        self.register_buffer("normal", None)
        self.detectors_ = nn.ModuleDict()

    @property
    def argument(self) -> str:
        return self.detector.as_argument

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(DETECTORS[argument]())

    def anomaly(self, features: Features, targets: Tensor) -> PerExample:
        """Return the anomaly score of each case by its detector, differentiable in the features.

        Args:
            features: (n, d), the features of the cases.
            targets: (n, 2), the class of the detector, and 1 if the case is anomalous.
        """
        return self._anomaly(*self._checked(features, targets))

    def _fit(self, features: Features, targets: Tensor) -> None:
        classes = targets.unique()
        if len(classes) < 2:
            raise ValueError("the one-class protocol needs at least two classes, the training targets have one")
        self.normal = classes
        self._restore()
        for name, detector in self.detectors_.items():
            mine = targets == int(name)
            cast(AnomalyDetector, detector).fit(features[mine], targets[mine])

    def _restore(self) -> None:
        assert self.normal is not None
        self.detectors_ = nn.ModuleDict({str(c): copy.deepcopy(self.detector) for c in self.normal.tolist()})

    def _cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        classes = torch.tensor([int(name) for name in self.detectors_])
        labels = labels.cpu()
        # One's own class first, then the others in random order; a stranger meets others only, one more of them.
        order = torch.rand(len(labels), len(classes), generator=generator(self.seed, Stream.OTHERS))
        order[labels[:, None] == classes] = -1
        chosen = classes[order.argsort(dim=1)[:, : self.others + 1]]
        rows = torch.arange(len(labels)).repeat_interleave(chosen.shape[1])
        detectors = chosen.flatten()
        return rows, torch.stack([detectors, (labels[rows] != detectors).long()], dim=1)

    def columns(self, targets: Tensor) -> dict[str, Tensor]:
        return attacked_sides(targets[:, 1] == 1)

    def _anomaly(self, features: Features, targets: Tensor) -> PerExample:
        scores = features.new_zeros(len(features))
        for name, detector in self.detectors_.items():
            mine = targets[:, 0] == int(name)
            if mine.any():
                scores = scores.index_put(
                    (mine.nonzero().squeeze(1),), cast(AnomalyDetector, detector)._evidence(features[mine])
                )
        return scores

    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        return {"anomaly": self._anomaly(features, targets)}

    def rankings(self, judged: dict[str, PerExample], targets: Tensor) -> list[Ranking]:
        """Return one ranking for each detector that has normal and anomalous cases."""
        found = []
        for detector in targets[:, 0].unique():
            cases = (targets[:, 0] == detector).nonzero().squeeze(1)
            anomalous = targets[cases, 1] == 1
            if anomalous.any() and not anomalous.all():
                found.append(Ranking(judged["anomaly"][cases], anomalous, cases))
        return found

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        per_class = [ranking_metrics(ranking.scores, ranking.anomalous) for ranking in self.rankings(judged, targets)]
        if not per_class:
            raise ValueError("no class has both normal and anomalous test images")
        return {metric: sum(found[metric] for found in per_class) / len(per_class) for metric in per_class[0]}

    def _loss(self, evidence: Features, targets: Tensor) -> PerExample:
        """Return the score of normal cases and the negative score of anomalous ones, as for a detector."""
        score = self._anomaly(evidence, targets)
        return torch.where(targets[:, 1] == 1, -score, score)
