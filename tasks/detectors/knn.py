"""The distance to the k-th nearest normal feature, Sun et al. 2022."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.scale import unit
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks.detectors import DETECTORS
from robustfeat.tasks.detectors.base import AnomalyDetector


@DETECTORS.register("knn")
class KNN(AnomalyDetector):
    """anomaly(x) = Euclidean distance of the normalised feature to its k-th nearest normal one.

    Args:
        k: the rank of the neighbour, from 1 to the number of normal examples.
    """

    normal: Tensor | None

    def __init__(self, k: int = 5) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k!r}")
        self.k = k
        self.register_buffer("normal", None)

    def _fit(self, features: Features, targets: Tensor) -> None:
        """Learn from features (m, d), m >= k; all of them are taken as normal."""
        if len(features) < self.k:
            raise ValueError(f"k = {self.k} is larger than the number of normal examples, {len(features)}")
        self.normal = unit(features.detach())

    def _anomaly(self, features: Features) -> PerExample:
        assert self.normal is not None
        x = unit(features)
        with torch.no_grad():  # which neighbour it is needs no gradient, the distance to it does
            kth = (x @ self.normal.T).topk(self.k, dim=1).indices[:, -1]
        return (x - self.normal[kth]).pow(2).sum(dim=1).clamp_min(1e-12).sqrt()
