"""The one-class support vector machine, Schölkopf et al. 2001, fitted by scikit-learn; a torch function gives the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, PerExample
from robustfeat.runtime.errors import CollapsedError
from robustfeat.runtime.needed import needed
from robustfeat.tasks.detectors import DETECTORS
from robustfeat.tasks.detectors.base import AnomalyDetector

with needed("the detector 'one-class-svm'", "sklearn", "scikit-learn"):
    from sklearn.svm import OneClassSVM as Fitted


@DETECTORS.register("one-class-svm")
class OneClassSVM(AnomalyDetector):
    """anomaly(x) = log rho - log sum_i alpha_i exp(-gamma |x - x_i|^2), > 0 outside; gamma = 1 / (d x mean variance).

    The logarithms do not change ranks and sign. Without them the score of everything far away would round to rho, so that no
    attack could move it and the detector would look robust.

    Args:
        nu: the bound on the share of normal examples that are left outside, in (0, 1].
    """

    centre: Tensor  # like the others, None until fit
    support: Tensor
    weights: Tensor
    gamma: Tensor
    rho: Tensor

    def __init__(self, nu: float = 0.1) -> None:
        super().__init__()
        if not 0 < nu <= 1:
            raise ValueError(f"nu must be in (0, 1], got {nu!r}")
        self.nu = nu
        for name in ("centre", "support", "weights", "gamma", "rho"):
            self.register_buffer(name, None)

    def _fit(self, features: Features, targets: Tensor) -> None:
        """Learn from features (m, d), m at least 2; all of them are taken as normal."""
        if len(features) < 2:
            raise ValueError(f"OneClassSVM needs at least two normal examples, got {len(features)}")
        x = features.detach().double().cpu()
        variance = x.var(dim=0).mean()
        if variance == 0:
            raise CollapsedError
        gamma = 1 / (x.shape[1] * variance)
        fitted = Fitted(nu=self.nu, gamma=float(gamma), tol=1e-6).fit(x.numpy())
        centre = x.mean(dim=0)  # distances are computed from products, which are exact near 0
        self.centre, self.support = (
            centre.to(features),
            (torch.from_numpy(fitted.support_vectors_) - centre).to(features),
        )
        self.weights = torch.from_numpy(fitted.dual_coef_[0]).to(features)
        self.gamma, self.rho = gamma.to(features.device), torch.as_tensor(-fitted.intercept_[0]).to(features)

    def _anomaly(self, features: Features) -> PerExample:
        # Near 1 by a power of two: gamma and the squares alone may be beyond float32.
        half = torch.frexp(self.gamma.double()).exponent // 2
        gamma = torch.ldexp(self.gamma.double(), -2 * half).to(features)
        near = torch.ldexp(torch.ones_like(self.gamma, dtype=torch.float64), half).to(features)
        x, support = (features - self.centre) * near, self.support * near
        squared = x.pow(2).sum(1, keepdim=True) - 2 * x @ support.T + support.pow(2).sum(1)
        return self.rho.log() - (self.weights.log() - gamma * squared).logsumexp(dim=1)
