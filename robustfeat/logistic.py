"""Multinomial logistic regression on features: the linear probe, and the head of a student that was trained without one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional as F

RELATIVE_PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Tried from smooth to sharp, in units of the mean variance of a feature, so that the scale of the features is no matter."""


class Linear(NamedTuple):
    """weight (k, d) and bias (k,) of a linear classifier, float32."""

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
    """Minimise mean cross-entropy + penalty / 2 ||W||^2 by L-BFGS in float64.

    The same optimum as scikit-learn's LogisticRegression(C=1 / (n penalty)); with two classes, where that fits the difference
    of the two weights alone, C=2 / (n penalty). Weights and biases sum to 0 over the classes.

    features: (n, d); labels: (n,) in 0..classes-1; start: a solution to begin from, for a path of penalties.
    tolerance: on the largest entry of the gradient, in the coordinates in which it is solved.
    """
    x = features.detach().double().cpu()
    y = labels.detach().cpu().long()
    n, d = x.shape
    centre = x.mean(dim=0)
    x = x - centre
    weight = torch.zeros(classes, d, dtype=torch.float64) if start is None else start.weight.double()
    bias = torch.zeros(classes, dtype=torch.float64) if start is None else start.bias.double() + weight @ centre
    # Along the principal axes, scaled so that the curvature at the start is about 1 along each: there L-BFGS needs tens of steps
    # where in the coordinates of correlated features it needs thousands. The penalty is still on the weights as returned.
    p = torch.addmm(bias, x, weight.T).softmax(dim=1)
    variances, axes = torch.linalg.eigh(x.T @ x / n)
    size = ((p * (1 - p)).mean() * variances.clamp_min(0) + penalty).clamp_min(1e-30).sqrt()
    x = x @ (axes / size)
    penalties = penalty / size**2
    rows = torch.arange(n)

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight = torch.from_numpy(flat[: classes * d]).view(classes, d)
        bias = torch.from_numpy(flat[classes * d :])
        logits = torch.addmm(bias, x, weight.T)
        log_z = logits.logsumexp(dim=1)
        value = (log_z - logits[rows, y]).mean() + (penalties * weight.pow(2)).sum() / 2
        residual = (logits - log_z[:, None]).exp_()
        residual[rows, y] -= 1
        residual /= n
        gradient = torch.cat([(residual.T @ x + penalties * weight).flatten(), residual.sum(dim=0)])
        return float(value), gradient.numpy()

    begin = torch.cat([((weight @ axes) * size).flatten(), bias]).numpy()
    options = {"maxiter": 2000, "gtol": tolerance, "ftol": 64 * np.finfo(float).eps}
    # SciPy's own vector arithmetic on one thread: its idle BLAS threads and torch's would fight for the cores, 20 times slower.
    with threadpool_limits(1, user_api="blas"):
        solution = minimize(value_and_gradient, begin, jac=True, method="L-BFGS-B", options=options).x
    weight = (torch.from_numpy(solution[: classes * d]).view(classes, d) / size) @ axes.T
    bias = torch.from_numpy(solution[classes * d :]) - weight @ centre
    # What all classes have in common changes no probability; at the optimum the weights have none of it.
    weight, bias = weight - weight.mean(dim=0), bias - bias.mean()
    return Linear(weight.float(), bias.float())


def fit_held_out(
    features: Tensor, labels: Tensor, classes: int, generator: torch.Generator, share: float = 0.2
) -> tuple[Linear, float]:
    """Choose the penalty on a random held-out `share` of the data by its loss, then refit on everything.

    Returns the classifier and the chosen penalty. Accuracy has many ties; the held-out loss does not.
    """
    order = torch.randperm(len(labels), generator=generator)
    held = order[: max(1, int(share * len(labels)))]
    kept = order[len(held) :] if len(held) < len(labels) else order
    variance = float(features.float().var(dim=0).mean())
    best, best_loss, solution, chosen = variance, float("inf"), None, None
    for relative in RELATIVE_PENALTIES:  # each start is close to its solution
        penalty = max(relative * variance, 1e-30)
        solution = fit(features[kept], labels[kept], classes, penalty, solution, tolerance=1e-5)
        loss = float(F.cross_entropy(solution(features[held].cpu().float()), labels[held].cpu().long()))
        if loss >= best_loss:
            break  # sharper ones follow the rest of the noise, slowly
        best, best_loss, chosen = penalty, loss, solution
    return fit(features, labels, classes, best, chosen), best
