"""Our logistic regression (`numerics.logistic.fit`) against scikit-learn's L-BFGS on features like those of a ReLU network.

50,000 x 512 features with 10 or 100 classes: classes and noise in 64 directions of falling strength, mixed, with a little noise
of every feature's own, and cut off at 0. Both minimise the same objective in float64 from the same start; scikit-learn stops at
a gradient of --tolerance, ours at its default. The largest gradient of each, in the coordinates of the features, and the value
of the objective say how comparable the two optima are.
"""

from __future__ import annotations

import argparse
import warnings

import torch
from side_by_side import ratio
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics import logistic
from robustfeat.numerics.random import generator

DIRECTIONS, SPREAD, OWN, SHIFT = 64, 2.0, 0.1, 0.5
HELD_OUT = 10_000


def features_and_labels(n: int, d: int, classes: int) -> tuple[Tensor, Tensor]:
    """float64 (n, d) and int64 (n,)."""
    random = generator(0, classes)
    labels = torch.randint(classes, (n,), generator=random)
    centres = torch.randn(classes, DIRECTIONS, generator=random)
    hidden = centres[labels] + SPREAD * torch.randn(n, DIRECTIONS, generator=random)
    strength = torch.arange(1, DIRECTIONS + 1).float().rsqrt()[:, None]
    mixed = hidden @ (strength * torch.randn(DIRECTIONS, d, generator=random))
    return (mixed + OWN * torch.randn(n, d, generator=random) - SHIFT).relu().double(), labels


def value_and_gradient(linear: logistic.Linear, x: Tensor, y: Tensor, penalty: float) -> tuple[float, float]:
    """The objective and the largest entry of its gradient, by autograd."""
    weight, bias = (part.double().clone().requires_grad_() for part in linear)
    value = F.cross_entropy(x @ weight.T + bias, y) + penalty / 2 * weight.pow(2).sum()
    gradients = torch.autograd.grad(value, (weight, bias))
    return value.item(), max(float(gradient.abs().max()) for gradient in gradients)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument(
        "--relative", type=float, default=1e-4, help="penalty in units of the mean variance of a feature"
    )
    parser.add_argument("--tolerance", type=float, default=1e-6, help="scikit-learn's tol")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    x, y = features_and_labels(options.rows + HELD_OUT, options.width, options.classes)
    x, y, held_x, held_y = x[: options.rows], y[: options.rows], x[options.rows :], y[options.rows :]
    penalty = options.relative * float(x.var(dim=0).mean())
    spectrum = torch.linalg.eigvalsh(x.T.cov())
    print(f"{options.rows} x {options.width}, {options.classes} classes, penalty {penalty:.3g}", flush=True)
    print(f"condition number of the covariance {float(spectrum[-1] / spectrum[0]):.0f}", flush=True)
    warnings.simplefilter("error", ConvergenceWarning)  # no convergence is no comparison
    model = LogisticRegression(C=1 / (options.rows * penalty), tol=options.tolerance, max_iter=10_000)
    found: dict[str, logistic.Linear] = {}

    def ours() -> None:
        found["ours"] = logistic.fit(x, y, options.classes, penalty)
        print("ours is done", flush=True)

    def theirs() -> None:
        model.fit(x.numpy(), y.numpy())
        weight, bias = torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)
        found["theirs"] = logistic.Linear(weight - weight.mean(dim=0), bias - bias.mean())
        print("scikit-learn is done", flush=True)

    a, b, r = ratio(ours, theirs, rounds=options.rounds, warmup=0)
    print(f"time: ours {a:.1f} s, scikit-learn {b:.1f} s in {model.n_iter_[0]} iterations, ratio {r:.3f}")
    right = {}
    for name, linear in found.items():
        value, gradient = value_and_gradient(linear, x, y, penalty)
        predicted = logistic.Linear(linear.weight.double(), linear.bias.double())(held_x).argmax(dim=1)
        right[name] = float((predicted == held_y).double().mean())
        print(f"{name}: objective {value:.9f}, gradient {gradient:.1e}, held-out accuracy {right[name]:.4f}")
    one, other = found["ours"], found["theirs"]
    print(f"difference in accuracy {abs(right['ours'] - right['theirs']):.1e}")
    print(
        f"largest difference of a coefficient {float((one.weight - other.weight).abs().max()):.1e} "
        f"of {float(other.weight.abs().max()):.2f}, of a bias {float((one.bias - other.bias).abs().max()):.1e}"
    )
