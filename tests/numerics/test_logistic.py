"""Logistic regression against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from robustfeat.numerics import logistic
from robustfeat.numerics.random import generator


def overlapping(classes: int, n: int = 240, d: int = 8) -> tuple[Tensor, Tensor]:
    """Classes that no line separates, so that the optimum is well-defined without a penalty too."""
    random = generator(classes)
    labels = torch.arange(n) % classes
    centres = torch.randn(classes, d, generator=random)
    return (centres[labels] + torch.randn(n, d, generator=random)).double(), labels


def referee(features: Tensor, labels: Tensor, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's weight and bias. With two classes it fits one vector w = w_1 - w_0, whose penalty counts half."""
    two = len(labels.unique()) == 2
    model = LogisticRegression(
        C=(2 if two else 1) / (len(labels) * penalty), solver="newton-cholesky", tol=1e-10, max_iter=1000
    ).fit(features.numpy(), labels.numpy())
    return model.coef_, model.intercept_


def comparable(linear: logistic.Linear, offset: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias in the units of the features before x -> scale x + offset, in scikit-learn's gauge."""
    weight = linear.weight.double().numpy()
    bias = linear.bias.double().numpy() + weight.sum(axis=1) * offset
    weight = weight * scale
    return (weight[1:] - weight[:1], bias[1:] - bias[:1]) if len(bias) == 2 else (weight, bias - bias.mean())


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1e-3, 0), (1e3, 0), (1, 10), (1e3, 1e4), (1e-3, -0.01)])
@pytest.mark.parametrize("relative", [1e-2, 1e-4, 1e-6])
def test_equal_to_sklearn(classes: int, scale: float, offset: float, relative: float) -> None:
    features, labels = overlapping(classes)
    penalty = relative * float(features.var(dim=0).mean())
    weight, bias = referee(features, labels, penalty)
    moved = features * scale + offset
    linear = logistic.fit(moved, labels, classes, penalty * scale**2)
    ours, our_bias = comparable(linear, offset, scale)
    assert np.abs(ours - weight).max() < 1e-3 * np.abs(weight).max()
    assert np.abs(our_bias - (bias - bias.mean() * (classes > 2))).max() < 1e-2
    expected = features.numpy() @ weight.T + bias
    predicted = (expected[:, 0] > 0).astype(int) if classes == 2 else expected.argmax(axis=1)
    assert np.array_equal(linear(moved.float()).argmax(dim=1).numpy(), predicted)


def test_sharp_penalties_on_digits() -> None:
    """Nearly separable classes: the valley is flat, and a solver that stops early is 20 points of probability off."""
    pixels, target = load_digits(return_X_y=True)
    features, labels = torch.from_numpy(pixels / 16)[:600], torch.from_numpy(target).long()[:600]
    start = None
    for relative in (1e-4, 1e-6):
        penalty = relative * float(features.var(dim=0).mean())
        weight, bias = referee(features, labels, penalty)
        start = logistic.fit(features, labels, 10, penalty, start)
        expected = (torch.from_numpy(pixels / 16) @ torch.from_numpy(weight).T + torch.from_numpy(bias)).softmax(dim=1)
        found = start(torch.from_numpy(pixels / 16).float()).softmax(dim=1)
        assert float((found - expected).abs().max()) < 0.01


@pytest.mark.parametrize("seed", [0, 1])
def test_a_warm_start_gives_the_same_optimum(seed: int) -> None:
    features, labels = overlapping(3)
    cold = logistic.fit(features + 5, labels, 3, 1e-2)
    elsewhere = logistic.Linear(
        torch.randn(3, 8, generator=generator(seed)), torch.randn(3, generator=generator(seed, 1))
    )
    for start in (cold, elsewhere):
        warm = logistic.fit(features + 5, labels, 3, 1e-2, start)
        torch.testing.assert_close(warm.weight, cold.weight, atol=1e-3, rtol=0)
        # One number added to every bias changes no probability, so a start may leave it there.
        torch.testing.assert_close(warm.bias - warm.bias.mean(), cold.bias - cold.bias.mean(), atol=2e-2, rtol=0)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_penalty_is_relative_to_the_scale(scale: float) -> None:
    features, labels = overlapping(3)
    linear, penalty = logistic.fit_held_out(features.float(), labels, 3, generator(0))
    scaled, scaled_penalty = logistic.fit_held_out((features * scale).float(), labels, 3, generator(0))
    assert scaled_penalty / scale**2 == pytest.approx(penalty, rel=1e-4)
    torch.testing.assert_close(scaled.weight * scale, linear.weight, atol=1e-3, rtol=0)


def test_the_penalty_is_the_best_on_the_held_out_share() -> None:
    """The same choice by scikit-learn fits on the kept share; the returned classifier is refitted on everything."""
    features, labels = overlapping(3, n=60)
    linear, chosen = logistic.fit_held_out(features.float(), labels, 3, generator(4), share=0.25)
    order = torch.randperm(60, generator=generator(4))
    held, kept = order[:15], order[15:]
    variance = float(features.var(dim=0).mean())
    losses = {}
    for relative in logistic.RELATIVE_PENALTIES:
        weight, bias = referee(features[kept], labels[kept], relative * variance)
        logits = features[held] @ torch.from_numpy(weight).T + torch.from_numpy(bias)
        losses[relative * variance] = float(torch.nn.functional.cross_entropy(logits, labels[held]))
    assert chosen == pytest.approx(min(losses, key=lambda penalty: losses[penalty]), rel=1e-4)
    weight, _ = referee(features, labels, chosen)
    assert np.abs(linear.weight.numpy() - weight).max() < 1e-3 * np.abs(weight).max()
