"""Lengths and squares at every scale: those of exact arithmetic, and bit by bit torch's own where it can have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from robustfeat.numerics.random import generator
from robustfeat.numerics.scale import length, mean_square, mean_variance, unit

X = torch.randn(50, 7, generator=generator(77))


def test_ordinary_features_keep_every_bit() -> None:
    for scale in (1e-6, 0.3, 1.0, 1e6):
        x = scale * X
        assert torch.equal(unit(x), F.normalize(x, dim=1))
        assert torch.equal(length(x), x.norm(dim=1))
        assert mean_square(x) == float(x.square().sum(dim=1).mean())
        assert mean_variance(x) == float(x.var(dim=0).mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1e20, 1e25, 1e37])
def test_any_scale(scale: float, dtype: torch.dtype) -> None:
    x = (X * scale).to(dtype)
    exact = x.double().numpy()
    tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-5
    lengths = np.linalg.norm(exact, axis=1)
    np.testing.assert_allclose(unit(x).double().numpy(), exact / lengths[:, None], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(length(x).double().numpy(), lengths, rtol=tolerance)
    assert mean_square(x) == pytest.approx((lengths**2).mean(), rel=tolerance)
    assert mean_variance(x) == pytest.approx(exact.var(axis=0, ddof=1).mean(), rel=tolerance)


def test_the_gradient_is_that_of_the_direction() -> None:
    x = (1e-20 * X.double()).requires_grad_()
    weights = torch.randn(50, 7, generator=generator(78), dtype=torch.float64)
    (found,) = torch.autograd.grad((unit(x) * weights).sum(), x)
    u = F.normalize(X.double(), dim=1)
    expected = (weights - u * (u * weights).sum(1, keepdim=True)) / (1e-20 * X.double().norm(dim=1, keepdim=True))
    torch.testing.assert_close(found, expected)


def test_zeros_stay() -> None:
    assert not unit(torch.zeros(2, 3)).any()
    assert not length(torch.zeros(2, 3)).any()
    assert unit(torch.empty(0, 3)).shape == (0, 3)
    assert mean_square(torch.zeros(2, 3)) == 0
