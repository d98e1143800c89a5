"""The Mahalanobis distance to the nearest class mean, Lee et al. 2018 (arXiv 1807.03888, equation 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks.detectors import DETECTORS
from robustfeat.tasks.detectors.mahalanobis import Whitened, whitening


@DETECTORS.register("class-mahalanobis")
class ClassMahalanobis(Whitened):
    """anomaly(x) = min_c (x - mean_c)^T (S + shrinkage tr(S)/d I)^-1 (x - mean_c), S the covariance within classes.

    Args:
        shrinkage: the share of the mean variance added to the diagonal, as of `Whitened`.
    """

    needs_classes = True

    means: Tensor | None

    def __init__(self, shrinkage: float = 0.1) -> None:
        super().__init__(shrinkage)
        self.register_buffer("means", None)

    def _fit(self, features: Features, targets: Tensor) -> None:
        """Learn from normal features (m, d) of at least two classes, labels (m,); more features than classes."""
        classes, which = targets.unique(return_inverse=True)
        if len(classes) < 2:
            raise ValueError("ClassMahalanobis needs at least two classes, the training targets have one")
        if len(features) <= len(classes):
            raise ValueError(
                f"{len(features)} features of {len(classes)} classes have no spread within a class; give more"
            )
        x = features.detach().double()
        sums = x.new_zeros(len(classes), x.shape[1]).index_add(0, which, x)
        means = sums / torch.bincount(which)[:, None]
        self.whitening = whitening(x - means[which], len(x) - len(classes), self.shrinkage).to(features.dtype)
        self.means = means.to(features.dtype)

    def _anomaly(self, features: Features) -> PerExample:
        assert self.means is not None
        assert self.whitening is not None
        # One class at a time: differences are exact where products of far-away features are not.
        distances = [((features - mean) @ self.whitening.T).pow(2).sum(dim=1) for mean in self.means]
        return torch.stack(distances).amin(dim=0)
