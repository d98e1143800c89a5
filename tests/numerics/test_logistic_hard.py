"""Where Newton's method has it hard: far starts, separable classes, an outlier, probabilities beyond single precision."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics import logistic
from robustfeat.numerics.random import generator


def problem(classes: int = 3, n: int = 90, d: int = 5, noise: float = 1) -> tuple[Tensor, Tensor]:
    random = generator(3)
    labels = torch.arange(n) % classes
    centres = torch.randn(classes, d, generator=random)
    return (centres[labels] + noise * torch.randn(n, d, generator=random)).double(), labels


def objective(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, penalty: float) -> Tensor:
    return F.cross_entropy(x @ weight.T + bias, y) + penalty / 2 * weight.pow(2).sum()


def gradient(linear: logistic.Linear, x: Tensor, y: Tensor, penalty: float) -> float:
    """Its largest entry, by autograd."""
    parts = [part.double().clone().requires_grad_() for part in linear]
    return max(float(g.abs().max()) for g in torch.autograd.grad(objective(*parts, x, y, penalty), parts))


@pytest.mark.parametrize("size", [1, 30, 1000, 1e9])
def test_a_start_far_away(size: float) -> None:
    """The farther ones are sure of what is wrong, where the objective is so flat that a Newton step goes anywhere."""
    x, y = problem()
    random = generator(4)
    start = logistic.Linear(size * torch.randn(3, 5, generator=random), size * torch.randn(3, generator=random))
    cold, warm = logistic.fit(x, y, 3, 1e-3), logistic.fit(x, y, 3, 1e-3, start)
    torch.testing.assert_close(warm.weight, cold.weight, atol=1e-5, rtol=0)
    assert gradient(cold, x, y, 1e-3) < 1e-6


@pytest.mark.parametrize("penalty", [1e-6, 1e-9, 1e-12, 1e-30])
def test_classes_that_a_line_separates(penalty: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss falls to nothing: probabilities get closer to 1 than single precision can say, and the search must still end."""
    steps = []
    real = logistic._newton_step
    monkeypatch.setattr(logistic, "_newton_step", lambda *given: steps.append(1) or real(*given))
    x, y = problem(noise=0.02)
    linear = logistic.fit(x, y, 3, penalty)
    assert gradient(linear, x, y, penalty) < 1e-6
    assert float(objective(linear.weight.double(), linear.bias.double(), x, y, penalty)) < 1e-4
    assert len(steps) < 60


def test_an_outlier_hides_no_direction() -> None:
    """One row a million times as large as the others, against BFGS on the plain objective of the other rows' scale."""
    x, y = problem()
    x[0] *= 1e6
    linear = logistic.fit(x, y, 3, 1e-4)
    weight, bias = linear.weight.double(), linear.bias.double()
    found = float(objective(weight, bias, x, y, 1e-4))

    def value_and_gradient(flat: object) -> tuple[float, object]:
        parts = torch.tensor(flat, requires_grad=True)
        value = objective(parts[:15].view(3, 5), parts[15:], x, y, 1e-4)
        value.backward()
        return value.item(), parts.grad.numpy()

    begin = torch.cat([weight.flatten(), bias]).numpy()
    better = minimize(value_and_gradient, begin, jac=True, method="L-BFGS-B", options={"maxiter": 500}).fun
    assert found < better + 1e-5, "nothing near it is lower"


@pytest.mark.parametrize(("classes", "given"), [(1, 1), (3, 1), (5, 3)])
def test_classes_without_examples(classes: int, given: int) -> None:
    x, y = problem(given)
    linear = logistic.fit(x, y, classes, 1e-3)
    assert torch.isfinite(linear.weight).all()
    assert set(linear(x.float()).argmax(dim=1).tolist()) <= set(range(given))
