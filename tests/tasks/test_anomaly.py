"""Anomaly detectors against scikit-learn, pytorch-ood and finite differences."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from pytorch_ood.detector import Mahalanobis as PublishedMahalanobis
from scipy.stats import spearmanr
from sklearn.covariance import ShrunkCovariance
from sklearn.neighbors import NearestNeighbors
from sklearn_metrics import sklearn_metrics
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.random import generator
from robustfeat.tasks import KNN, AnomalyDetector, Mahalanobis, OneClass


@pytest.fixture(
    params=[Mahalanobis, partial(Mahalanobis, 1e-3), partial(KNN, 1), partial(KNN, 7)],
    ids=["mahalanobis", "mahalanobis-little-shrinkage", "knn-1", "knn-7"],
)
def detector(request: pytest.FixtureRequest) -> AnomalyDetector:
    """Every detector, unfitted."""
    return request.param()


def data(n: int = 80, d: int = 10, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Normal training features, test features and their targets, of different spread in every direction."""
    random = generator(seed)
    spread = torch.linspace(0.2, 3, d)
    normal = 1 + torch.randn(n, d, generator=random) * spread
    tested = 1 + torch.randn(60, d, generator=random) * spread
    targets = torch.arange(60) % 2
    return normal, tested + targets[:, None] * 1.5 * torch.randn(60, d, generator=random), targets


@pytest.mark.parametrize("shrinkage", [1e-3, 0.1, 1.0])
def test_mahalanobis_as_sklearn(shrinkage: float) -> None:
    """scikit-learn shrinks to (1 - s) S + s tr(S)/d I and divides S by n: s = a / (1 + a), and two known factors."""
    normal, tested, targets = data()
    referee = ShrunkCovariance(shrinkage=shrinkage / (1 + shrinkage)).fit(normal.double().numpy())
    expected = referee.mahalanobis(tested.double().numpy()) * (79 / 80) / (1 + shrinkage)
    task = Mahalanobis(shrinkage).fit(normal)
    found = task.anomaly(tested)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    assert np.array_equal(found.argsort().numpy(), expected.argsort())
    assert task.score(tested, targets) == pytest.approx(sklearn_metrics(expected, targets.numpy()), abs=1e-9)


def test_mahalanobis_as_pytorch_ood() -> None:
    """The published detector adds 1e-6 to the summed outer products and halves the distance."""
    normal, tested, _ = data(200)
    published = PublishedMahalanobis(None).fit_features(normal, torch.zeros(200).long()).predict_features(tested)
    mean_variance = float(normal.double().var(dim=0).mean())
    found = Mahalanobis(1e-6 / 199 / mean_variance).fit(normal).anomaly(tested)
    torch.testing.assert_close(found, published * 2 * 199, rtol=1e-3, atol=0)
    assert spearmanr(found, published).statistic > 0.9999


@pytest.mark.parametrize("k", [1, 5, 80])
def test_knn_as_sklearn(k: int) -> None:
    normal, tested, targets = data()
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(F.normalize(normal.double(), dim=1).numpy())
    expected = index.kneighbors(F.normalize(tested.double(), dim=1).numpy())[0][:, -1]
    task = KNN(k).fit(normal)
    np.testing.assert_allclose(task.anomaly(tested).numpy(), expected, atol=1e-5)
    assert task.score(tested, targets) == pytest.approx(sklearn_metrics(expected, targets.numpy()), abs=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scaled_features_rank_the_same(detector: AnomalyDetector, scale: float) -> None:
    normal, tested, targets = data()
    expected = detector.fit(normal).score(tested, targets)
    assert detector.fit(normal * scale).score(tested * scale, targets) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_rank_deficient_features(scale: float) -> None:
    """Fewer examples than dimensions, and dead units: still the distance that a float64 solve gives."""
    normal, tested, targets = data(n=12, d=40)
    normal, tested = normal * scale, tested * scale
    normal[:, :9] = 0
    tested[:, :4] = 0
    found = Mahalanobis().fit(normal).anomaly(tested)
    x, z = normal.double().numpy(), tested.double().numpy()
    covariance = np.cov(x, rowvar=False)
    covariance += 0.1 * np.trace(covariance) / 40 * np.eye(40)
    centred = z - x.mean(axis=0)
    expected = (centred * np.linalg.solve(covariance, centred.T).T).sum(axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    assert set(KNN(3).fit(normal).score(tested, targets)) == {"auroc", "aupr", "aupr-normal", "tnr@95"}


def test_gradient_by_finite_differences(detector: AnomalyDetector) -> None:
    normal, tested, targets = data()
    detector.fit(normal.double())
    x = tested[:8].double().requires_grad_()
    (gradient,) = torch.autograd.grad(detector.loss(x, targets[:8]).sum(), x)
    assert gradient.dtype == torch.float64
    for unit in torch.eye(10, dtype=torch.float64):
        with torch.no_grad():
            slope = (detector.loss(x + 1e-6 * unit, targets[:8]) - detector.loss(x - 1e-6 * unit, targets[:8])) / 2e-6
        torch.testing.assert_close(gradient @ unit, slope, rtol=1e-4, atol=1e-5)


def test_the_loss_moves_each_case_to_the_other_side(detector: AnomalyDetector) -> None:
    normal, tested, targets = data()
    score = detector.fit(normal).anomaly(tested)
    assert torch.equal(detector.loss(tested, targets), score * (1 - 2 * targets))


def test_bad_input(detector: AnomalyDetector) -> None:
    normal, tested, targets = data()
    for use in (lambda: detector.anomaly(tested), lambda: detector.loss(tested, targets)):
        with pytest.raises(RuntimeError, match="call fit first"):
            use()
    detector.fit(normal)
    for features, aims, message in (
        (tested[:, :9], targets, "width 9.*width 10"),
        (tested * torch.nan, targets, "NaN"),
        (tested, targets + 1, "must be 0"),
        (tested, targets[:1], "60 features but 1 targets"),
        (tested, torch.zeros(60).long(), "needs normal and anomalous"),
        (tested[:0], targets[:0], "no features"),
    ):
        with pytest.raises(ValueError, match=message):
            detector.score(features, aims)
    with pytest.raises(ValueError, match="NaN"):
        detector.fit(normal * torch.nan)
    with pytest.raises(ValueError, match="no features to fit on"):
        detector.fit(normal[:0])


def test_bad_options_and_no_spread() -> None:
    with pytest.raises(ValueError, match="k must be at least 1"):
        KNN(0)
    with pytest.raises(ValueError, match="shrinkage must be greater than 0"):
        Mahalanobis(0)
    with pytest.raises(ValueError, match="no spread"):
        Mahalanobis().fit(torch.ones(5, 3))
    with pytest.raises(ValueError, match="at least two classes"):
        OneClass().fit(torch.randn(5, 3, generator=generator(0)), torch.zeros(5).long())
    with pytest.raises(RuntimeError, match="call fit first"):
        OneClass().cases(torch.arange(3), torch.zeros(3, 2))
