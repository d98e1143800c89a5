"""Features of any scale: before values are squared, they are brought near 1 by a power of two, which is exact.

Squares of numbers below 1e-19 or above 1e19 are 0 or infinite in float32. For all others the results are the same bit by bit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.types import Features


def unit(features: Features) -> Features:
    """Return rows (n, d) divided by their length, differentiable; a row of zeros stays zero."""
    return F.normalize(features / _near(features, dim=1), dim=1)


def length(features: Features) -> Tensor:
    """Return the Euclidean length (n,) of rows (n, d), differentiable."""
    near = _near(features, dim=1)
    return (features / near).norm(dim=1) * near.squeeze(1)


def mean_square(features: Features) -> float:
    """Return the mean over rows (n, d) of the square of their length."""
    near = _near(features)
    return float((features / near).square().sum(dim=1).mean()) * float(near) ** 2


def mean_variance(features: Features) -> float:
    """Return the mean over columns of the variance of features (n, d), computed in float32."""
    near = _near(features)
    return float((features / near).float().var(dim=0).mean()) * float(near) ** 2


@torch.no_grad()
def _near(values: Tensor, dim: int | None = None) -> Tensor:
    """Return a power of two near the largest of |values|, over all or along a dimension, which is kept; 1 where all are 0."""
    if not values.numel():
        return values.new_ones(1)
    largest = values.abs().amax() if dim is None else values.abs().amax(dim=dim, keepdim=True)
    most = math.floor(math.log2(torch.finfo(values.dtype).max)) - 2  # its inverse is a normal number too
    exponents = torch.frexp(largest).exponent.clamp(-most, most).long()
    # Made from its bits: a power that is computed may be off in the last one.
    return ((exponents + 1023) << 52).view(torch.float64).to(values.dtype)
