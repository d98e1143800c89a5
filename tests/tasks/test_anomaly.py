"""Anomaly detectors against scikit-learn, pytorch-ood and finite differences; the one-class protocol against a loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from pytorch_ood.detector import Mahalanobis as PublishedMahalanobis
from scipy.stats import spearmanr
from sklearn.covariance import ShrunkCovariance
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn import functional as F

from robustfeat.attacks import PGD, Threat
from robustfeat.data import MemoryImages
from robustfeat.extractor import FeatureExtractor
from robustfeat.random import generator
from robustfeat.tasks import KNN, AnomalyDetector, Mahalanobis, OneClass, evaluate
from robustfeat.types import Eps


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


def sklearn_metrics(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    false, true, _ = roc_curve(targets, scores, drop_intermediate=False)
    return {
        "auroc": roc_auc_score(targets, scores),
        "aupr": average_precision_score(targets, scores),
        "aupr-normal": average_precision_score(1 - np.asarray(targets).astype(int), -np.asarray(scores)),
        "tnr@95": 1 - false[np.flatnonzero(true >= 0.95)[0]],
    }


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
    with pytest.raises(ValueError, match=r"larger than the number|at least two"):
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


def three_classes(n: int, seed: int, d: int = 10) -> tuple[Tensor, Tensor]:
    """Classes 0, 2 and 5: class numbers need not be consecutive."""
    kind = torch.arange(n) % 3
    centres = torch.randn(3, d, generator=generator(21))
    return centres[kind] + torch.randn(n, d, generator=generator(seed)), torch.tensor([0, 2, 5])[kind]


@pytest.mark.parametrize("name", ["mahalanobis", "knn"])
def test_one_class_protocol_as_a_plain_loop(name: str) -> None:
    learnt, classes = three_classes(90, 22)
    tested, labels = three_classes(50, 23)
    task = (OneClass(Mahalanobis(0.2)) if name == "mahalanobis" else OneClass(KNN(4))).fit(learnt, classes)
    rows, targets = task.cases(labels, tested)
    found = task.score(tested[rows], targets)
    per_class = []
    for c in (0, 2, 5):
        normal = learnt[classes == c].double()
        if name == "mahalanobis":
            referee = ShrunkCovariance(shrinkage=0.2 / 1.2).fit(normal.numpy())
            scores = referee.mahalanobis(tested.double().numpy())
        else:
            index = NearestNeighbors(n_neighbors=4).fit(F.normalize(normal, dim=1).numpy())
            scores = index.kneighbors(F.normalize(tested.double(), dim=1).numpy())[0][:, -1]
        per_class.append(sklearn_metrics(scores, (labels != c).numpy()))
    assert found == pytest.approx({m: np.mean([one[m] for one in per_class]) for m in found}, abs=1e-9)
    # A stranger's class is anomalous to every detector.
    stranger_rows, stranger = task.cases(torch.tensor([7]), tested[:1])
    assert stranger_rows.tolist() == [0, 0, 0]
    assert sorted(stranger.tolist()) == [[0, 1], [2, 1], [5, 1]]


def test_one_class_gradient_by_finite_differences() -> None:
    learnt, classes = three_classes(90, 22)
    tested, labels = three_classes(6, 23)
    task = OneClass().fit(learnt.double(), classes)
    rows, targets = task.cases(labels, tested)
    x = tested[rows].double().requires_grad_()
    (gradient,) = torch.autograd.grad(task.loss(x, targets).sum(), x)
    for unit in torch.eye(10, dtype=torch.float64):
        with torch.no_grad():
            slope = (task.loss(x + 1e-6 * unit, targets) - task.loss(x - 1e-6 * unit, targets)) / 2e-6
        torch.testing.assert_close(gradient @ unit, slope, rtol=1e-4, atol=1e-5)


def test_fitting_leaves_the_given_detector_alone() -> None:
    learnt, classes = three_classes(90, 22)
    detector = KNN(3)
    task = OneClass(detector).fit(learnt, classes)
    assert detector.normal is None
    assert list(task.detectors_) == ["0", "2", "5"]


def test_under_attack_as_on_paper(linear_extractor: Callable[[Tensor], FeatureExtractor]) -> None:
    """One linear feature: within linf eps it moves by eps ||a||_1, away from the mean or towards it. All three columns."""
    signs = torch.randint(2, (192,), generator=generator(31)) * 2.0 - 1
    directions = (signs / 192 / 0.04)[:, None]  # the image 0.5 + 0.04 c signs has feature c

    def images(centres: Tensor, seed: int, keep_away: float) -> MemoryImages:
        labels = torch.arange(400) % 2
        c = centres[labels] + torch.randn(400, generator=generator(seed))
        kept = (c - centres[1 - labels]).abs() > keep_away
        noise = 0.02 * torch.randn(400, 192, generator=generator(seed, 1))
        pixels = 0.5 + 0.04 * c[:, None] * signs + noise
        assert pixels.min() > 0.1
        assert pixels.max() < 0.9
        return MemoryImages("line", pixels.mul(255).round().byte().view(400, 3, 8, 8)[kept], labels[kept])

    centres = torch.tensor([-1.0, 1.0])
    train, test = images(centres, 32, 0), images(centres, 33, 0.5).head(60)
    eps = 0.012
    reach = eps * float(directions.abs().sum())
    attack = PGD(threat=Threat("linf", Eps(eps)), steps=10, start="clean")
    report = evaluate(linear_extractor(directions), [OneClass()], train, test, [attack], progress=False)

    def feature(data: MemoryImages) -> np.ndarray:
        return ((data.images.double().flatten(1) / 255 - 0.5) @ directions.double()).squeeze(1).numpy()

    learnt, tested = feature(train), feature(test)
    classes, labels = train.require_labels().numpy(), test.require_labels().numpy()
    expected: dict[str, list[dict[str, float]]] = {"none": [], "pgd": [], "pgd/normal": [], "pgd/anomalous": []}
    for c in (0, 1):
        anomalous = labels != c
        distance = np.abs(tested - learnt[classes == c].mean())
        assert distance[anomalous].min() > reach, "or the closed form does not hold"
        attacked = np.where(anomalous, distance - reach, distance + reach)
        expected["none"].append(sklearn_metrics(distance, anomalous))
        expected["pgd"].append(sklearn_metrics(attacked, anomalous))
        expected["pgd/normal"].append(sklearn_metrics(np.where(anomalous, distance, attacked), anomalous))
        expected["pgd/anomalous"].append(sklearn_metrics(np.where(anomalous, attacked, distance), anomalous))
    for column, per_class in expected.items():
        for metric in ("auroc", "aupr", "aupr-normal", "tnr@95"):
            mean = math.fsum(one[metric] for one in per_class) / 2
            assert report.value("anomaly", metric, column) == pytest.approx(mean, abs=1e-6), (column, metric)
    values = [report.value("anomaly", "auroc", column) for column in expected]
    assert values[1] < min(values[2:]) <= max(values[2:]) < values[0]


def test_with_many_classes_an_image_meets_its_own_detector_and_some_others() -> None:
    labels = torch.arange(60) % 20
    learnt = torch.eye(20)[labels] + 0.1 * torch.randn(60, 20, generator=generator(24))
    task = OneClass(others=4).fit(learnt, labels)
    rows, targets = task.cases(labels[:40], learnt[:40])
    assert torch.bincount(rows).tolist() == [5] * 40
    own = targets[targets[:, 1] == 0]
    assert own[:, 0].tolist() == labels[:40].tolist(), "every image meets its own class's detector, once"
    pairs = {(int(r), int(t)) for r, t in zip(rows, targets[:, 0], strict=True)}
    assert len(pairs) == 200, "no detector twice"
    assert torch.bincount(targets[:, 0], minlength=20).min() > 2, "the others are spread over all classes"
    with pytest.raises(ValueError, match="others must be at least 1, got 0"):
        OneClass(others=0)
