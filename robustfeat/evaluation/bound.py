"""The bound on the loss of a linear head under a feature shift, Nern et al. 2023 (arXiv 2208.03835)."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import PerExample


def loss_gap_bound(weight: Tensor, distances: PerExample) -> float:
    """Bound the mean cross-entropy on attacked minus that on clean images, for a linear head on features that are shifted.

        |CE(W f' + b, y) - CE(W f + b, y)| <= max_ij |w_i - w_j| |f' - f|,

    since the gradient of the cross-entropy in f is the mean of w_j - w_y under the predicted probabilities.

    The bound always holds for the perturbations that caused these distances. For the worst perturbations it holds as far as the
    attack on the features found the largest shift.

    Args:
        weight: (k, d), the weight of the head, with at least two classes.
        distances: (n,), |f(x + d) - f(x)| for each image (`Shift.distances`).

    Returns:
        The bound, in nats.

    Raises:
        ValueError: if `weight` has another shape.
    """
    if weight.ndim != 2 or len(weight) < 2:
        raise ValueError(f"weight must be (classes, d) with at least two classes, got shape {tuple(weight.shape)}")
    return float(torch.cdist(weight.double()[None], weight.double()[None]).max() * distances.double().mean())
