"""Out-of-distribution detection: test images of classes without training images are anomalous, all others normal."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks import DETECTORS, TASKS
from robustfeat.tasks.base import Task
from robustfeat.tasks.detectors.base import AnomalyDetector, attacked_sides, ranking_metrics
from robustfeat.tasks.detectors.mahalanobis import Mahalanobis
from robustfeat.tasks.metrics.delong import Ranking


@TASKS.register("ood")
class OutOfDistribution(Task):
    """Out-of-distribution detection with one detector, fitted on all training features.

    Test labels may have classes that the training labels lack; `robustfeat.data.with_outliers` adds another data set to a test
    set in this way. If the test images have masks and the detector has anomaly maps (PatchCore on maps, `--patches`), a report
    also has the pixel AUROC and AUPRO, on clean images only, since no attack aims at them.

    Args:
        detector: an unfitted detector, which is fitted in place. None takes Mahalanobis().
    """

    novel_classes = True
    known: Tensor | None

    def __init__(self, detector: AnomalyDetector | None = None) -> None:
        super().__init__()
        self.detector = Mahalanobis() if detector is None else detector
        self.register_buffer("known", None)

    @property
    def argument(self) -> str:
        return self.detector.as_argument

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(DETECTORS[argument]())

    def _fit(self, features: Features, targets: Tensor) -> None:
        self.detector.fit(features, targets)
        self.known = targets.unique()

    def _cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        assert self.known is not None
        return torch.arange(len(labels)), (~torch.isin(labels, self.known.to(labels.device))).long()

    def rankings(self, judged: dict[str, PerExample], targets: Tensor) -> list[Ranking]:
        return [Ranking(judged["anomaly"], targets == 1, torch.arange(len(targets)))]

    def columns(self, targets: Tensor) -> dict[str, Tensor]:
        return attacked_sides(targets == 1)

    def _evidence(self, features: Features) -> PerExample:
        return self.detector._evidence(features)

    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        return self.detector._judge(features, targets)

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        return ranking_metrics(judged["anomaly"], targets == 1)

    def maps(self, features: Features, size: int) -> Tensor | None:
        return self.detector.maps(features, size)

    def _loss(self, evidence: PerExample, targets: Tensor) -> PerExample:
        return self.detector._loss(evidence, targets)

    def _check_targets(self, targets: Tensor) -> None:
        self.detector._check_targets(targets)
