"""What a feature shift can cost a linear head, Nern et al. 2023 (arXiv 2208.03835)."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import PerExample


def loss_gap_bound(weight: Tensor, distances: PerExample) -> float:
    """Bound on mean cross-entropy on attacked minus on clean images, for a linear head on features that moved by `distances`.

        |CE(W f' + b, y) - CE(W f + b, y)| <= max_ij |w_i - w_j| |f' - f|,

    since the gradient of the cross-entropy in f is the mean of w_j - w_y under the predicted probabilities.

    weight: (k, d) of the head.  distances: (n,), |f(x + d) - f(x)| (`Shift.distances`). For the perturbations that made these
    distances the bound always holds; for the worst ones it holds as far as the attack on the features found the largest shift.
    """
    if weight.ndim != 2 or len(weight) < 2:
        raise ValueError(f"weight must be (classes, d) with at least two classes, got shape {tuple(weight.shape)}")
    return float(torch.cdist(weight.double()[None], weight.double()[None]).max() * distances.double().mean())
