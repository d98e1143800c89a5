"""What an anomaly detector is: fitted on normal features, it gives every feature a score that is higher for anomalies."""

from __future__ import annotations

import functools
import inspect
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from robustfeat.numerics.checks import refuse
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks.base import Task, check_features
from robustfeat.tasks.metrics.delong import Ranking
from robustfeat.tasks.metrics.ranking import aupr, auroc, fpr_at_tpr


class AnomalyDetector(Task):
    """Give `fit` and `anomaly`; threshold, metrics and loss follow. Targets: 1 is anomalous, 0 is normal.

    Metrics are AUROC, AUPR (anomalous as positive), AUPR with normal as positive, and TNR@95 = 1 - FPR@95, so that larger is
    better for each.
    """

    threshold: Tensor | None
    """Scores above it are anomalous; None until `calibrate`."""

    needs_classes: ClassVar[bool] = False
    """Whether `fit` needs the classes of the normal examples, at least two of them."""

    scores: ClassVar[str] = ""
    """Names the scale of the scores, where it has changed since detectors were first saved: a threshold is on one scale."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("threshold", None)

    def __init_subclass__(cls, **options: Any) -> None:
        """Whatever a detector's own `fit` does, an earlier threshold is gone after it; its `anomaly` sees the dtype it learnt."""
        super().__init_subclass__(**options)
        if "fit" in cls.__dict__:
            cls.fit = _forgetting(cls.fit)  # type: ignore[method-assign]
        if "anomaly" in cls.__dict__ and not inspect.isabstract(cls):
            cls.anomaly = _casting(cls.anomaly)  # type: ignore[method-assign]

    @abstractmethod
    def anomaly(self, features: Features) -> PerExample:
        """Anomaly score (n,), higher is more anomalous, differentiable in the features."""

    def calibrate(self, features: Features, false_alarms: float = 0.05) -> Self:
        """Set the threshold by normal features (m, d) that were held out from `fit`.

        false_alarms: share of new normal examples that may be called anomalous, on average over such held-out sets (split
            conformal: Papadopoulos et al. 2002). Raises ValueError where m is too small for it: it takes at least
            1 / false_alarms - 1 examples.
        """
        if not 0 < false_alarms < 1:
            raise ValueError(f"false_alarms must be in (0, 1), got {false_alarms!r}")
        with torch.no_grad():
            scores = self.anomaly(features)
        above = int(false_alarms * (len(scores) + 1) + 1e-9)
        if above < 1:
            raise ValueError(
                f"{len(scores)} normal examples can not tell a false-alarm rate of {false_alarms}; "
                f"give at least {math.ceil(1 / false_alarms) - 1}"
            )
        self.threshold = scores.topk(above).values[-1]
        return self

    def predict(self, features: Features) -> Tensor:
        """Which of features (n, d) are anomalous, bool (n,)."""
        with torch.no_grad():
            scores = self.anomaly(features)
        if self.threshold is None:
            raise RuntimeError(f"{type(self).__name__} has no threshold; call calibrate with held-out normal features")
        return scores > self.threshold

    def titled(self, task: str) -> str:
        """What a task is called with this detector: the default one is not mentioned."""
        return task if self.name == "mahalanobis" else f"{task}:{self.name}"

    def judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        check_features(features, targets)
        if not bool(((targets == 0) | (targets == 1)).all()):
            raise ValueError(
                "targets of an anomaly detector must be 0 (normal) or 1 (anomalous); for classes use OneClass"
            )
        return {"anomaly": self.anomaly(features)}

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        return ranking_metrics(judged["anomaly"], targets == 1)

    def rankings(self, judged: dict[str, PerExample], targets: Tensor) -> list[Ranking]:
        return [Ranking(judged["anomaly"], targets == 1, torch.arange(len(targets)))]

    def columns(self, targets: Tensor) -> dict[str, Tensor]:
        return attacked_sides(targets == 1)

    def loss(self, features: Features, targets: Tensor) -> PerExample:
        """The score of normal cases, minus the score of anomalous ones: an attacker moves each towards the other side."""
        score = self.anomaly(features)
        check_features(features, targets)
        return torch.where(targets == 1, -score, score)


def _forgetting(fit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fit)
    def fit_without_threshold(self: AnomalyDetector, *arguments: Any, **options: Any) -> Any:
        self.threshold = None
        return fit(self, *arguments, **options)

    return fit_without_threshold


def _casting(anomaly: Callable[..., PerExample]) -> Callable[..., PerExample]:
    @functools.wraps(anomaly)
    def anomaly_as_learnt(self: AnomalyDetector, features: Features) -> PerExample:
        dtypes = [buffer.dtype for buffer in self.buffers() if buffer.is_floating_point()]
        floats = isinstance(features, Tensor) and features.is_floating_point()
        scores = anomaly(self, features.to(dtypes[0]) if dtypes and floats else features)
        refuse(
            ~torch.isfinite(scores.detach()).all(),
            lambda: ValueError(
                f"scores of {type(self).__name__} are NaN or infinite: the features are beyond what it can tell in "
                f"{scores.dtype}; scale them, or give float64"
            ),
        )
        return scores

    return anomaly_as_learnt


def ranking_metrics(scores: Tensor, anomalous: Tensor) -> dict[str, float]:
    """AUROC, AUPR with either side as positive, and FPR@95 turned round."""
    return {
        "auroc": auroc(scores, anomalous),
        "aupr": aupr(scores, anomalous),
        "aupr-normal": aupr(-scores, ~anomalous),
        "tnr@95": 1 - fpr_at_tpr(scores, anomalous),
    }


def attacked_sides(anomalous: Tensor) -> dict[str, Tensor]:
    """Both sides attacked (the headline), normal cases made anomalous, anomalous ones made normal."""
    return {"": torch.ones_like(anomalous), "normal": ~anomalous, "anomalous": anomalous}
