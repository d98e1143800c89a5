"""The density of a mixture of Gaussians, fitted by scikit-learn; an equivalent function in torch gives the gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, PerExample
from robustfeat.runtime.errors import CollapsedError
from robustfeat.runtime.needed import needed
from robustfeat.tasks.detectors import DETECTORS
from robustfeat.tasks.detectors.base import AnomalyDetector

with needed("the detector 'gmm'", "sklearn", "scikit-learn"):
    from sklearn.mixture import GaussianMixture


@DETECTORS.register("gmm")
class GMM(AnomalyDetector):
    """anomaly(x) = -log density of x, features measured in units of their mean standard deviation.

    Args:
        components: the number of Gaussians, each with its own covariance.
        shrinkage: the share of the mean variance added to each diagonal, as for Mahalanobis.
        seed: of the initialisation.
    """

    means: Tensor  # like the others, None until fit
    whitening: Tensor
    log_weights: Tensor
    scale: Tensor

    def __init__(self, components: int = 2, shrinkage: float = 0.1, seed: int = 0) -> None:
        super().__init__()
        if components < 1:
            raise ValueError(f"components must be at least 1, got {components!r}")
        if not shrinkage > 0:
            raise ValueError(f"shrinkage must be greater than 0, got {shrinkage!r}")
        self.components, self.shrinkage, self.seed = components, shrinkage, seed
        for name in ("means", "whitening", "log_weights", "scale"):
            self.register_buffer(name, None)

    def _fit(self, features: Features, targets: Tensor) -> None:
        """Learn from features (m, d), m >= components and at least 2; all of them are taken as normal."""
        if len(features) < max(2, self.components):
            raise ValueError(
                f"components = {self.components} is larger than the number of normal examples, {len(features)}"
            )
        x = features.detach().double().cpu()
        scale = x.var(dim=0).mean().sqrt()
        if scale == 0:
            raise CollapsedError
        mixture = GaussianMixture(self.components, reg_covar=self.shrinkage, random_state=self.seed)
        mixture.fit((x / scale).numpy())
        whitening = torch.from_numpy(mixture.precisions_cholesky_)
        log_weights = torch.from_numpy(mixture.weights_).log() + whitening.diagonal(dim1=1, dim2=2).log().sum(1)
        self.scale, self.whitening = scale.to(features), whitening.to(features)
        self.means, self.log_weights = torch.from_numpy(mixture.means_).to(features), log_weights.to(features)

    def _anomaly(self, features: Features) -> PerExample:
        x = features / self.scale
        # |(x - mean) P|^2 for every Gaussian: (k, n)
        distances = ((x - self.means[:, None]) @ self.whitening).pow(2).sum(dim=2)
        log_density = self.log_weights[:, None] - 0.5 * (distances + x.shape[1] * math.log(2 * math.pi))
        return -log_density.logsumexp(dim=0)
