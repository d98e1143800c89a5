"""Features of any scale: what is squared is first brought near 1 by a power of two, which costs no digit.

Squares of numbers below 1e-19 or above 1e19 are 0 or infinite in float32. Where they are not, results are the same bit by bit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.types import Features


def unit(features: Features) -> Features:
    """Rows (n, d) divided by their length, differentiable; a row of zeros stays one."""
    return F.normalize(features / _near(features, dim=1), dim=1)


def length(features: Features) -> Tensor:
    """Euclidean length of rows (n, d), (n,), differentiable."""
    near = _near(features, dim=1)
    return (features / near).norm(dim=1) * near.squeeze(1)


def mean_square(features: Features) -> float:
    """Mean over rows (n, d) of the square of their length."""
    near = _near(features)
    return float((features / near).square().sum(dim=1).mean()) * float(near) ** 2


def mean_variance(features: Features) -> float:
    """Mean over columns of the variance of features (n, d), in float32."""
    near = _near(features)
    return float((features / near).float().var(dim=0).mean()) * float(near) ** 2


@torch.no_grad()
def _near(values: Tensor, dim: int | None = None) -> Tensor:
    """A power of two near the largest of |values|, of all or along a dimension, which is kept; 1 where all are 0."""
    if not values.numel():
        return values.new_ones(1)
    largest = values.abs().amax() if dim is None else values.abs().amax(dim=dim, keepdim=True)
    most = math.floor(math.log2(torch.finfo(values.dtype).max)) - 2  # its inverse is a normal number too
    exponents = torch.frexp(largest).exponent.clamp(-most, most).long()
    # Made from its bits: a power that is computed may be off in the last one.
    return ((exponents + 1023) << 52).view(torch.float64).to(values.dtype)
