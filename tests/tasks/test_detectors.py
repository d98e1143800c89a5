"""Detectors of known kinds against scikit-learn and pytorch-ood, finite differences, and features of any scale and rank."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from pytorch_ood.detector import EnergyBased, MaxSoftmax
from pytorch_ood.detector import Mahalanobis as PublishedMahalanobis
from pytorch_ood.detector import ViM as PublishedViM
from sklearn.covariance import ShrunkCovariance
from sklearn.mixture import GaussianMixture
from sklearn.svm import OneClassSVM as PublishedSVM
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks import (
    GMM,
    MSP,
    AnomalyDetector,
    ClassMahalanobis,
    Energy,
    LinearProbe,
    OneClass,
    OneClassSVM,
    ViM,
)
from robustfeat.tasks.detectors.logit_scores import LogitDetector

ALL = {
    "msp": MSP,
    "energy": Energy,
    "vim": partial(ViM, dims=6),
    "gmm": partial(GMM, components=3),
    "one-class-svm": partial(OneClassSVM, nu=0.2),
    "class-mahalanobis": ClassMahalanobis,
}


@pytest.fixture(params=ALL)
def detector(request: pytest.FixtureRequest) -> AnomalyDetector:
    return ALL[request.param]()


def data(d: int = 12) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Three normal classes, of different spread in each direction; test features, half of them from far away; targets."""
    random = generator(3)
    spread = torch.linspace(0.3, 1.5, d)
    centres = 2 * torch.randn(3, d, generator=random)
    labels = torch.arange(150) % 3
    normal = centres[labels] + spread * torch.randn(150, d, generator=random)
    targets = torch.arange(60) % 2
    kinds = torch.randint(3, (60,), generator=random)
    tested = centres[kinds] + spread * torch.randn(60, d, generator=random)
    return normal, labels, tested + targets[:, None] * 1.5 * torch.randn(60, d, generator=random), targets


def test_logit_scores_as_pytorch_ood() -> None:
    normal, labels, tested, _ = data()
    logits = LinearProbe().fit(normal, labels).logits(tested)
    found = MSP().fit(normal, labels).anomaly(tested)
    torch.testing.assert_close(-torch.sigmoid(-found), MaxSoftmax.score(logits))
    torch.testing.assert_close(Energy().fit(normal, labels).anomaly(tested), EnergyBased.score(logits))


@pytest.mark.parametrize("dims", [1, 6, 11])
def test_vim_as_pytorch_ood(dims: int) -> None:
    normal, labels, tested, _ = data()
    ours = ViM(dims=dims).fit(normal, labels)
    probe = LinearProbe().fit(normal, labels)
    published = PublishedViM(torch.nn.Identity(), d=dims, w=probe.weight, b=probe.bias)
    published.fit_features(normal, labels)
    expected = torch.as_tensor(published.predict_features(tested)).float()
    torch.testing.assert_close(ours.anomaly(tested), expected, rtol=1e-3, atol=1e-3)


def test_class_mahalanobis_as_sklearn_and_pytorch_ood() -> None:
    """Shrunk by scikit-learn's formula; hardly shrunk, with the ranks of pytorch-ood, which divides by n."""
    normal, labels, tested, _ = data()
    means = torch.stack([normal[labels == c].double().mean(dim=0) for c in range(3)])
    published = ShrunkCovariance(shrinkage=0.3 / 1.3, assume_centered=True).fit((normal - means[labels]).numpy())
    distances = np.min([published.mahalanobis((tested - mean).numpy()) for mean in means], axis=0) * (147 / 150) / 1.3
    ours = ClassMahalanobis(0.3).fit(normal, labels).anomaly(tested)
    np.testing.assert_allclose(ours.numpy(), distances, rtol=1e-4)
    referee = PublishedMahalanobis(torch.nn.Identity())
    referee.fit_features(normal, labels)
    sharp = ClassMahalanobis(1e-9).fit(normal, labels).anomaly(tested)
    assert sharp.argsort().tolist() == referee.predict_features(tested).argsort().tolist()


@pytest.mark.parametrize("components", [1, 3])
def test_gmm_as_sklearn(components: int) -> None:
    normal, _, tested, _ = data()
    scale = float(normal.double().var(0).mean().sqrt())
    published = GaussianMixture(components, reg_covar=0.1, random_state=0).fit(normal.double().numpy() / scale)
    expected = -published.score_samples(tested.double().numpy() / scale)
    np.testing.assert_allclose(GMM(components).fit(normal).anomaly(tested).numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("nu", [0.05, 0.5])
def test_one_class_svm_as_sklearn(nu: float) -> None:
    normal, _, tested, _ = data()
    gamma = 1 / (12 * float(normal.double().var(0).mean()))
    published = PublishedSVM(nu=nu, gamma=gamma, tol=1e-6).fit(normal.double().numpy())
    rho = -published.intercept_[0]
    expected = -np.log(published.decision_function(tested.double().numpy()) / rho + 1)
    np.testing.assert_allclose(OneClassSVM(nu).fit(normal).anomaly(tested).numpy(), expected, rtol=1e-3, atol=1e-4)


def test_one_class_svm_far_away_still_has_a_gradient() -> None:
    normal, _, tested, _ = data()
    x = (tested + 50).requires_grad_()
    score = OneClassSVM().fit(normal).anomaly(x)
    (gradient,) = torch.autograd.grad(score.sum(), x)
    assert len(score.unique()) == len(score)
    assert (gradient.norm(dim=1) > 1e-3).all()


def test_gradient_by_finite_differences(detector: AnomalyDetector) -> None:
    normal, labels, tested, targets = data()
    detector.fit(normal.double(), labels).double()
    x = tested[:8].double().requires_grad_()
    (gradient,) = torch.autograd.grad(detector.loss(x, targets[:8]).sum(), x)
    for unit in torch.eye(12, dtype=torch.float64):
        with torch.no_grad():
            slope = (detector.loss(x + 1e-6 * unit, targets[:8]) - detector.loss(x - 1e-6 * unit, targets[:8])) / 2e-6
        torch.testing.assert_close(gradient @ unit, slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scaled_features_rank_the_same(detector: AnomalyDetector, scale: float) -> None:
    normal, labels, tested, targets = data()
    before = detector.fit(normal, labels).score(tested, targets)
    after = detector.fit(scale * normal, labels).score(scale * tested, targets)
    assert after == pytest.approx(before, abs=1e-3)


def test_rank_deficient_features(detector: AnomalyDetector) -> None:
    """Fewer examples than dimensions, and a unit that is always 0."""
    normal, labels, tested, targets = data()
    wide = torch.randn(12, 40, generator=generator(4))
    wide[:, 7] = 0
    found = detector.fit((normal @ wide)[:30], labels[:30]).score(tested @ wide, targets)
    # Logits alone may rank outliers as normal; densities and residuals must not.
    assert (0 if isinstance(detector, LogitDetector) else 0.5) <= found["auroc"] <= 1


def test_bad_input(detector: AnomalyDetector) -> None:
    normal, labels, tested, targets = data()
    with pytest.raises(RuntimeError, match="call fit first"):
        detector.anomaly(tested)
    with pytest.raises(ValueError, match="NaN"):
        detector.fit(normal * torch.nan, labels)
    with pytest.raises(ValueError, match=r"at least two|larger than the number|no features"):
        detector.fit(normal[:0], labels[:0])
    detector.fit(normal, labels)
    with pytest.raises(ValueError, match=r"width 11.*width 12"):
        detector.anomaly(tested[:, :11])
    with pytest.raises(ValueError, match="NaN"):
        detector.score(tested * torch.nan, targets)


def test_bad_options() -> None:
    normal, labels, _, _ = data()
    for make, message in (
        (lambda: GMM(components=0), "components must be at least 1, got 0"),
        (lambda: GMM(shrinkage=0), "shrinkage must be greater than 0"),
        (lambda: OneClassSVM(nu=0), r"nu must be in \(0, 1\], got 0"),
        (lambda: ViM(dims=0), "dims must be at least 1, got 0"),
        (lambda: ViM(dims=12).fit(normal, labels), "dims = 12 must be smaller than the width of the features, 12"),
        (lambda: MSP().fit(normal, labels * 0), "at least two classes"),
        (lambda: GMM().fit(torch.ones(5, 3)), "no spread"),
        (lambda: OneClassSVM().fit(torch.ones(5, 3)), "no spread"),
        (lambda: OneClass(Energy()), "Energy needs several normal classes"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_state_restores(detector: AnomalyDetector) -> None:
    normal, labels, tested, _ = data()
    detector.fit(normal, labels)
    assert torch.equal(detector.anomaly(tested), detector.anomaly(tested))
    assert "=" in repr(detector), "the options are part of the repr"
