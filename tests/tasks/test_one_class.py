"""The one-class protocol against a plain loop, finite differences, and what an attack can do on paper."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.covariance import ShrunkCovariance
from sklearn.neighbors import NearestNeighbors
from sklearn_metrics import sklearn_metrics
from torch import Tensor
from torch.nn import functional as F

from robustfeat.attacks import PGD, Threat
from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import KNN, Mahalanobis, OneClass


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
    expected: dict[str, list[dict[str, float]]] = {"clean": [], "": [], "normal": [], "anomalous": []}
    for c in (0, 1):
        anomalous = labels != c
        distance = np.abs(tested - learnt[classes == c].mean())
        assert distance[anomalous].min() > reach, "or the closed form does not hold"
        attacked = np.where(anomalous, distance - reach, distance + reach)
        expected["clean"].append(sklearn_metrics(distance, anomalous))
        expected[""].append(sklearn_metrics(attacked, anomalous))
        expected["normal"].append(sklearn_metrics(np.where(anomalous, distance, attacked), anomalous))
        expected["anomalous"].append(sklearn_metrics(np.where(anomalous, attacked, distance), anomalous))

    def under(metric: str, column: str) -> float:
        place = ("none", None, "") if column == "clean" else ("pgd", None, column)
        return report.value("anomaly", metric, *place)

    for column, per_class in expected.items():
        for metric in ("auroc", "aupr", "aupr-normal", "tnr@95"):
            mean = math.fsum(one[metric] for one in per_class) / 2
            assert under(metric, column) == pytest.approx(mean, abs=1e-6), (column, metric)
    values = [under("auroc", column) for column in expected]
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
