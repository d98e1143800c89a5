"""The Mahalanobis distance to the mean of the normal features, Lee et al. 2018 (one Gaussian)."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, PerExample
from robustfeat.runtime.errors import CollapsedError
from robustfeat.tasks.detectors import DETECTORS
from robustfeat.tasks.detectors.base import AnomalyDetector


class Whitened(AnomalyDetector):
    """A detector that measures distances by a covariance S, in the form (S + shrinkage tr(S)/d I)^-1, factorised in float64.

    Args:
        shrinkage: the share of the mean variance added to the diagonal. It keeps rank-deficient features (fewer examples than
            dimensions, dead units) well-defined, and leaves rankings unchanged when features are scaled.
    """

    whitening: Tensor | None

    def __init__(self, shrinkage: float = 0.1) -> None:
        super().__init__()
        if not shrinkage > 0:
            raise ValueError(f"shrinkage must be greater than 0, got {shrinkage!r}")
        self.shrinkage = shrinkage
        self.register_buffer("whitening", None)


@DETECTORS.register("mahalanobis")
class Mahalanobis(Whitened):
    """anomaly(x) = (x - mean)^T (S + shrinkage tr(S)/d I)^-1 (x - mean), factorised in float64.

    Args:
        shrinkage: as of `Whitened`.
    """

    mean: Tensor | None

    def __init__(self, shrinkage: float = 0.1) -> None:
        super().__init__(shrinkage)
        self.register_buffer("mean", None)

    def _fit(self, features: Features, targets: Tensor) -> None:
        """Learn from features (m, d); all of them are taken as normal."""
        if len(features) < 2:
            raise ValueError(f"Mahalanobis needs at least two normal examples, got {len(features)}")
        x = features.detach().double()
        mean = x.mean(dim=0)
        self.whitening = whitening(x - mean, len(x) - 1, self.shrinkage).to(features.dtype)
        self.mean = mean.to(features.dtype)

    def _anomaly(self, features: Features) -> PerExample:
        assert self.mean is not None
        assert self.whitening is not None
        return ((features - self.mean) @ self.whitening.T).pow(2).sum(dim=1)


def whitening(centred: Tensor, freedom: int, shrinkage: float) -> Tensor:
    """Compute the inverse Cholesky factor W of the covariance, such that |W x|^2 is the Mahalanobis distance of x.

    Args:
        centred: (m, d), float64, features minus their means.
        freedom: degrees of freedom of the covariance.
        shrinkage: the share of the mean variance added to the diagonal, as for Mahalanobis.

    Returns:
        W, (d, d), float64.

    Raises:
        ValueError: if all features are equal.
    """
    covariance = centred.T @ centred / freedom
    variance = covariance.diagonal().mean()
    if variance == 0:
        raise CollapsedError
    identity = torch.eye(len(covariance), dtype=torch.float64, device=centred.device)
    factor = torch.linalg.cholesky(covariance + shrinkage * variance * identity)
    return torch.linalg.solve_triangular(factor, identity, upper=False).contiguous()
