"""The base class of anomaly detectors, which are fitted on normal features and give anomalies higher scores."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, Self, final

import torch
from torch import Tensor

from robustfeat.numerics.checks import refuse
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks.base import Task
from robustfeat.tasks.metrics.delong import Ranking
from robustfeat.tasks.metrics.ranking import aupr, auroc, fpr_at_tpr


class AnomalyDetector(Task):
    """The base class of anomaly detectors; targets are 1 for anomalous and 0 for normal examples.

    Subclasses implement `_fit` and `_anomaly`; the base class provides threshold, metrics and loss. Metrics are AUROC, AUPR
    (anomalous as positive), AUPR with normal as positive, and TNR@95 = 1 - FPR@95, so that larger is better for each.
    """

    threshold: Tensor | None
    """The score above which an example is anomalous; None until `calibrate`."""

    needs_classes: ClassVar[bool] = False
    """Whether `fit` needs the classes of the normal examples, at least two of them."""

    scores: ClassVar[str] = ""
    """The name of the scale of the scores, set if it has changed since detectors were first saved; a threshold has one scale."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("threshold", None)

    @final
    def fit(self, features: Features, targets: Tensor | None = None) -> Self:
        """Fit the detector on normal features.

        Args:
            features: (m, d), the normal features.
            targets: (m,), their classes; None if there is one class.

        Raises:
            ValueError: for invalid or insufficient data.
        """
        count = len(features) if isinstance(features, Tensor) else 0
        return super().fit(features, torch.zeros(count, dtype=torch.long) if targets is None else targets)

    @final
    def anomaly(self, features: Features) -> PerExample:
        """Return anomaly scores (n,), higher is more anomalous, differentiable in the features.

        Args:
            features: (n, d), of the fitted width.

        Raises:
            RuntimeError: before `fit`.
            ValueError: for invalid features, and for scores that are not finite.
        """
        return self._evidence(self._seen(features))

    @abstractmethod
    def _anomaly(self, features: Features) -> PerExample:
        """See `anomaly`."""

    @final
    def calibrate(self, features: Features, false_alarms: float = 0.05) -> Self:
        """Set the threshold from held-out normal features.

        Args:
            features: (m, d), normal features that were held out from `fit`, at least 1 / false_alarms - 1 of them.
            false_alarms: the share of new normal examples that may be called anomalous, in (0, 1), on average over such held-out
                sets (split conformal: Papadopoulos et al. 2002).

        Raises:
            ValueError: if m is too small for `false_alarms`, or `false_alarms` is outside (0, 1).
        """
        if not 0 < false_alarms < 1:
            raise ValueError(f"false_alarms must be in (0, 1), got {false_alarms!r}")
        with torch.no_grad():
            scores = self.anomaly(features)
        above = int(false_alarms * (len(scores) + 1) + 1e-9)
        if above < 1:
            raise ValueError(
                f"{len(scores)} normal examples cannot tell a false-alarm rate of {false_alarms}; "
                f"give at least {math.ceil(1 / false_alarms) - 1}"
            )
        self.threshold = scores.topk(above).values[-1]
        return self

    @final
    def predict(self, features: Features) -> Tensor:
        """Return which of features (n, d) are anomalous, bool (n,).

        Raises:
            RuntimeError: before `calibrate`.
        """
        with torch.no_grad():
            scores = self.anomaly(features)
        if self.threshold is None:
            raise RuntimeError(f"{type(self).__name__} has no threshold; call calibrate with held-out normal features")
        return scores > self.threshold

    @property
    def as_argument(self) -> str:
        """The argument of a task that uses this detector; empty for the default detector."""
        return "" if self.name == "mahalanobis" else self.name

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        return ranking_metrics(judged["anomaly"], targets == 1)

    def rankings(self, judged: dict[str, PerExample], targets: Tensor) -> list[Ranking]:
        return [Ranking(judged["anomaly"], targets == 1, torch.arange(len(targets)))]

    def columns(self, targets: Tensor) -> dict[str, Tensor]:
        return attacked_sides(targets == 1)

    def _fitted(self, features: Features) -> None:
        super()._fitted(features)
        self.threshold = None  # it was one of other scores

    def _evidence(self, features: Features) -> PerExample:
        scores = self._anomaly(features)
        refuse(
            ~torch.isfinite(scores.detach()).all(),
            lambda: ValueError(
                f"scores of {type(self).__name__} are NaN or infinite: the features are beyond what it can tell in "
                f"{scores.dtype}; scale them, or give float64"
            ),
        )
        return scores

    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        return {"anomaly": self._evidence(features)}

    def _loss(self, evidence: PerExample, targets: Tensor) -> PerExample:
        """Return the score of normal and the negative score of anomalous cases; an attacker moves each to the other side."""
        return torch.where(targets == 1, -evidence, evidence)

    def _check_targets(self, targets: Tensor) -> None:
        if targets.ndim != 1:
            raise ValueError(f"targets of an anomaly detector must be 0 or 1, (n,), got shape {tuple(targets.shape)}")
        refuse(
            (targets > 1).any(),
            lambda: ValueError(
                "targets of an anomaly detector must be 0 (normal) or 1 (anomalous); for classes use OneClass"
            ),
        )


def ranking_metrics(scores: Tensor, anomalous: Tensor) -> dict[str, float]:
    """Return AUROC, AUPR with either side as positive, and TNR@95 = 1 - FPR@95.

    Args:
        scores: (n,), the anomaly scores.
        anomalous: bool (n,), which examples are anomalous.
    """
    return {
        "auroc": auroc(scores, anomalous),
        "aupr": aupr(scores, anomalous),
        "aupr-normal": aupr(-scores, ~anomalous),
        "tnr@95": 1 - fpr_at_tpr(scores, anomalous),
    }


def attacked_sides(anomalous: Tensor) -> dict[str, Tensor]:
    """Return the columns of a report: both sides attacked (the headline), only normal cases, and only anomalous cases.

    Args:
        anomalous: bool (n,), which cases are anomalous.
    """
    return {"": torch.ones_like(anomalous), "normal": ~anomalous, "anomalous": anomalous}
