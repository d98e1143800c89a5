"""Virtual-logit matching, Wang et al. 2022 (arXiv 2203.10807): the residual of the principal space acts as one more logit."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.scale import length
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks.detectors import DETECTORS
from robustfeat.tasks.detectors.base import AnomalyDetector
from robustfeat.tasks.probe import LinearProbe


@DETECTORS.register("vim")
class ViM(AnomalyDetector):
    """anomaly(x) = alpha |residual(x)| - logsumexp(logits(x)), with a linear probe fitted on the normal features.

    The residual is the part of x - o outside the `dims` principal directions, o = -W^+ b the point where all logits are 0;
    alpha makes residuals as large as the largest logits, on average over the normal examples.

    Args:
        dims: the dimension of the principal space; None takes half the width of the features.
        seed: of the choice of the probe's penalty.
    """

    needs_classes = True

    origin: Tensor  # like the others, None until fit
    residual_space: Tensor
    alpha: Tensor

    def __init__(self, dims: int | None = None, seed: int = 0) -> None:
        super().__init__()
        if dims is not None and dims < 1:
            raise ValueError(f"dims must be at least 1, got {dims!r}")
        self.dims, self.seed = dims, seed
        self.probe = LinearProbe(seed=seed)
        for name in ("origin", "residual_space", "alpha"):
            self.register_buffer(name, None)

    def _fit(self, features: Features, targets: Tensor) -> None:
        """Learn from normal features (m, d), d > dims, of at least two classes, labels (m,)."""
        self.probe.fit(features, targets)
        width = features.shape[1]
        dims = width // 2 if self.dims is None else self.dims
        if dims >= width:
            raise ValueError(f"dims = {dims} must be smaller than the width of the features, {width}")
        assert self.probe.weight is not None
        assert self.probe.bias is not None
        x = features.detach().double()
        # The weights of all classes sum to 0 up to rounding, which must not count as a direction.
        origin = -torch.linalg.pinv(self.probe.weight.double(), rtol=1e-5) @ self.probe.bias.double()
        centred = x - origin
        # Ascending, so that the first directions are those that explain least.
        directions = torch.linalg.eigh(centred.T @ centred / len(x)).eigenvectors[:, : width - dims]
        residual = (centred @ directions).norm(dim=1).mean()
        if residual <= 1e-6 * centred.norm(dim=1).mean():  # rounding is no residual
            raise ValueError(f"{dims} directions explain the normal features entirely; give fewer dims")
        alpha = self.probe._evidence(features).amax(dim=1).double().mean() / residual
        self.origin, self.residual_space = origin.to(features.dtype), directions.to(features.dtype)
        self.alpha = alpha.to(features.dtype)

    def _anomaly(self, features: Features) -> PerExample:
        logits = self.probe._evidence(features)
        residual = (features - self.origin) @ self.residual_space
        return self.alpha * length(residual) - logits.logsumexp(dim=1)
