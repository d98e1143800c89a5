"""Classic anomaly scores from logits, with a linear probe that is fitted on the normal features and their classes."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, Logits, PerExample
from robustfeat.tasks.detectors import DETECTORS
from robustfeat.tasks.detectors.base import AnomalyDetector
from robustfeat.tasks.probe import LinearProbe


class LogitDetector(AnomalyDetector):
    """The base class of detectors on logits; subclasses implement `score_logits`.

    It needs the classes of the normal examples, so the one-class protocol does not apply.

    Args:
        seed: of the choice of the probe's penalty.
    """

    needs_classes = True

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.probe = LinearProbe(seed=seed)

    def _fit(self, features: Features, targets: Tensor) -> None:
        """Learn from normal features (m, d) of at least two classes, labels (m,)."""
        self.probe.fit(features, targets)

    def _anomaly(self, features: Features) -> PerExample:
        return self.score_logits(self.probe._evidence(features))

    @abstractmethod
    def score_logits(self, logits: Logits) -> PerExample:
        """Return anomaly scores (n,) for logits (n, k)."""


@DETECTORS.register("msp")
class MSP(LogitDetector):
    """anomaly(x) = log((1 - p) / p), p = max softmax(logits): the order of -p, Hendrycks & Gimpel 2017; at most log(k - 1).

    p itself rounds to 1 for margins of 17 or more, so that all confident examples would be equally normal and no attack could
    move them. p = sigmoid(-anomaly).
    """

    scores = "log odds"

    def score_logits(self, logits: Logits) -> PerExample:
        best = logits.argmax(dim=1, keepdim=True)
        others = logits.scatter(1, best, -torch.inf).logsumexp(dim=1)
        return others - logits.gather(1, best).squeeze(1)


@DETECTORS.register("energy")
class Energy(LogitDetector):
    """anomaly(x) = -logsumexp(logits), Liu et al. 2020, at temperature 1."""

    def score_logits(self, logits: Logits) -> PerExample:
        return -logits.logsumexp(dim=1)
