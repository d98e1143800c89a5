"""Multinomial logistic regression on features: the linear probe, and the head of a student that was trained without one."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.scale import mean_variance

RELATIVE_PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The penalties that are tried, from smooth to sharp, in units of the mean variance of a feature: scale has no effect."""

STEPS, PRODUCTS = 200, 250
"""The largest numbers of Newton steps and of products with the Hessian in each step; usual are 10 to 20, and 10 to 50 a step."""

TINY = 1e-200  # far below the variance of any float32

ROUNDING = 64 * torch.finfo(torch.float64).eps


class Linear(NamedTuple):
    """A linear classifier in float32.

    Args:
        weight: (k, d).
        bias: (k,).
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return F.linear(features, self.weight, self.bias)


def fit(
    features: Tensor,
    labels: Tensor,
    classes: int,
    penalty: float,
    start: Linear | None = None,
    *,
    tolerance: float = 1e-8,
) -> Linear:
    """Minimise mean cross-entropy + penalty / 2 ||W||^2 by Newton's method in float64.

    The optimum is that of scikit-learn's LogisticRegression(C=1 / (n penalty)); with two classes, where scikit-learn fits only
    the difference of the two weights, that of C=2 / (n penalty). Weights and biases sum to 0 over the classes.

    Args:
        features: (n, d).
        labels: (n,) in 0..classes-1.
        classes: number of classes.
        penalty: factor of the squared norm of the weights.
        start: a solution to begin from, for a path of penalties.
        tolerance: largest entry of the gradient at the solution, in the coordinates in which it is solved.
    """
    x = features.detach().double().cpu()
    y = labels.detach().cpu().long()
    n, d = x.shape
    centre = x.mean(dim=0)
    x = x - centre
    weight = torch.zeros(classes, d, dtype=torch.float64) if start is None else start.weight.double()
    bias = torch.zeros(classes, dtype=torch.float64) if start is None else start.bias.double() + weight @ centre
    # Along the principal axes, scaled so that the curvature at the start is about 1 along each: there a step needs tens of
    # products with the Hessian where in the coordinates of correlated features it needs thousands. The penalty is still on the
    # weights as returned.
    p = torch.addmm(bias, x, weight.T).softmax(dim=1)
    variances, axes = torch.linalg.eigh(x.T @ x / n)
    size = ((p * (1 - p)).mean() * variances.clamp_min(0) + penalty).clamp_min(TINY).sqrt()
    # The bias is the weight of a column of ones, without penalty.
    x = torch.cat([x @ (axes / size), x.new_ones(n, 1)], dim=1)
    penalties = torch.cat([penalty / size**2, size.new_zeros(1)])
    solution = _minimise(x, y, torch.cat([(weight @ axes) * size, bias[:, None]], dim=1), penalties, tolerance)
    weight = (solution[:, :d] / size) @ axes.T
    bias = solution[:, d] - weight @ centre
    # What all classes have in common changes no probability; at the optimum the weights have none of it.
    weight, bias = weight - weight.mean(dim=0), bias - bias.mean()
    return Linear(weight.float(), bias.float())


def _minimise(x: Tensor, y: Tensor, weight: Tensor, penalties: Tensor, tolerance: float) -> Tensor:
    """Minimise mean cross-entropy + 1/2 sum penalties * weight^2 by Newton's method with backtracking, from `weight` (k, d)."""
    rows = torch.arange(len(y))
    sums = torch.zeros_like(weight).index_add_(0, y, x)
    working = x.float()

    def loss(weight: Tensor) -> tuple[float, Tensor]:
        """Return the value, and the probabilities (n, k)."""
        log_p = (x @ weight.T).log_softmax(dim=1)
        return float((penalties * weight.pow(2)).sum() / 2 - log_p[rows, y].mean()), log_p.exp_()

    value, p = loss(weight)
    if not value <= math.log(len(weight)):  # worse than knowing nothing: sure of what is wrong, where all is flat
        weight = torch.zeros_like(weight)
        value, p = loss(weight)
    for _ in range(STEPS):
        gradient = (p.T @ x - sums) / len(y) + penalties * weight
        if gradient.abs().max() <= tolerance:
            break
        step = _newton_step(working, p.to(working.dtype), gradient, penalties.to(working.dtype))
        slope, length = float((gradient * step).sum()), 1.0
        found = loss(weight + step)
        # Equal to rounding is progress too: near the optimum the gradient still falls when the value no longer can.
        while not found[0] <= value + 1e-4 * length * slope + ROUNDING * value and length > ROUNDING:
            length /= 2
            found = loss(weight + length * step)
        downhill = slope < 0 and length > ROUNDING
        if downhill:
            weight = weight + length * step
            value, p = found
        elif working is x:
            break  # as far as double precision goes
        if not downhill or length < 1e-3:  # the probabilities may be closer to 0 and 1 than single precision can tell
            working = x
    return weight


def _newton_step(x: Tensor, p: Tensor, gradient: Tensor, penalties: Tensor) -> Tensor:
    """Return -H^-1 gradient to a relative accuracy that grows towards the optimum (Dembo and Steihaug, 1983).

    Conjugate gradients with the diagonal of the Hessian H as preconditioner, in the precision of x. Single precision costs half
    as much and is enough for a direction; the minimum is determined by the gradient, which is in double precision.
    """
    norm = gradient.norm()
    accuracy = float(norm.sqrt().clamp(1e-3, 0.3))
    diagonal = (p * (1 - p)).T @ x.pow(2) / len(x) + penalties
    diagonal = diagonal.clamp_min(1e-6 * float(diagonal.max()))
    residual = (-gradient / norm).to(x.dtype)
    step = torch.zeros_like(residual)
    direction = residual / diagonal
    squared = first = float((residual * direction).sum())
    for _ in range(PRODUCTS):
        logits = x @ direction.T
        logits -= (p * logits).sum(dim=1, keepdim=True)
        product = (p * logits).T @ x / len(x) + penalties * direction
        curvature = float((direction * product).sum())
        if not curvature > 0:  # flat to rounding
            break
        step += squared / curvature * direction
        residual -= squared / curvature * product
        preconditioned = residual / diagonal
        last, squared = squared, float((residual * preconditioned).sum())
        if squared <= accuracy**2 * first:
            break
        direction = preconditioned + squared / last * direction
    return step.double() * norm


def fit_held_out(
    features: Tensor, labels: Tensor, classes: int, generator: torch.Generator, share: float = 0.2
) -> tuple[Linear, float]:
    """Choose the penalty by the loss on a random held-out share of the data, then fit again on all of it.

    Accuracy has many ties; the held-out loss does not.

    Args:
        features: (n, d).
        labels: (n,) in 0..classes-1.
        classes: number of classes.
        generator: source of the random numbers of the split.
        share: share of the data that is held out.

    Returns:
        The classifier and the chosen penalty.
    """
    order = torch.randperm(len(labels), generator=generator)
    held = order[: max(1, int(share * len(labels)))]
    kept = order[len(held) :] if len(held) < len(labels) else order
    variance = mean_variance(features)
    best, best_loss, solution, chosen = variance, float("inf"), None, None
    for relative in RELATIVE_PENALTIES:  # each start is close to its solution
        penalty = max(relative * variance, TINY)
        solution = fit(features[kept], labels[kept], classes, penalty, solution, tolerance=1e-5)
        loss = float(F.cross_entropy(solution(features[held].cpu().float()), labels[held].cpu().long()))
        if loss >= best_loss:
            break  # sharper ones follow the rest of the noise, slowly
        best, best_loss, chosen = penalty, loss, solution
    return fit(features, labels, classes, best, chosen), best
