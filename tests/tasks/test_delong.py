"""The interval of an AUROC: its variance by DeLong's double loop, its coverage by simulation."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
import torch
from torch import Tensor

from robustfeat.evaluation.measure import measure
from robustfeat.evaluation.pipeline import Cases
from robustfeat.numerics.random import generator
from robustfeat.tasks import Mahalanobis, OneClass
from robustfeat.tasks.metrics.delong import Ranking, auroc_interval, delong, newcombe


def one(scores: Tensor, anomalous: Tensor) -> list[Ranking]:
    return [Ranking(scores, anomalous, torch.arange(len(scores)))]


def double_loop(scores: Tensor, anomalous: Tensor) -> float:
    """DeLong et al. 1988, equations 4 and 5, as they stand."""
    x, y = scores[anomalous].tolist(), scores[~anomalous].tolist()
    kernel = [[1.0 if a > b else 0.5 if a == b else 0.0 for b in y] for a in x]
    tens = [sum(row) / len(y) for row in kernel]
    ones = [sum(row[j] for row in kernel) / len(x) for j in range(len(y))]
    area = sum(tens) / len(x)
    s10 = sum((v - area) ** 2 for v in tens) / (len(x) - 1)
    s01 = sum((v - area) ** 2 for v in ones) / (len(y) - 1)
    return s10 / len(x) + s01 / len(y)


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize(("normal", "anomalous"), [(10, 10), (40, 7), (2, 30)])
def test_the_variance_is_that_of_the_double_loop(normal: int, anomalous: int, levels: int | None) -> None:
    truth = torch.randperm(normal + anomalous, generator=generator(1, normal)) < anomalous
    scores = torch.randn(len(truth), generator=generator(2, normal)) + truth
    if levels is not None:
        scores = (scores * levels / 4).round()
    assert delong(one(scores, truth), torch.arange(len(truth))) == pytest.approx(double_loop(scores, truth), rel=1e-9)


def test_images_that_are_asked_twice_count_once() -> None:
    truth = torch.arange(40) % 2 == 1
    scores = torch.randn(40, generator=generator(3)) + truth
    rows = torch.arange(40)
    twice = [Ranking(scores, truth, rows), Ranking(scores, truth, rows + 40)]
    once = delong(one(scores, truth), rows)
    assert delong(twice, rows.repeat(2)) == pytest.approx(once)
    assert delong(twice, torch.arange(80)) == pytest.approx(once / 2), "of different images, they are independent"


def test_it_is_wilsons_formula_for_the_area() -> None:
    """The ends solve |t - area| = z sqrt(V(t)); without DeLong's part where nothing is wrong."""
    truth = torch.arange(20) % 2 == 1
    low, high = auroc_interval(one(truth.double(), truth), torch.arange(20))
    assert high == 1
    assert 1 - low == pytest.approx(1.959964 * math.sqrt(newcombe(low, 10, 10)), rel=1e-6)
    assert 0.7 < low < 0.9
    assert auroc_interval(one(-truth.double(), truth), torch.arange(20)) == pytest.approx((0, 1 - low))


def test_the_report_has_it_also_where_nothing_is_wrong() -> None:
    features = torch.randn(40, 4, generator=generator(4))
    targets = torch.arange(20) % 2
    asked = features[:20] * (1 + 50 * targets[:, None])
    cases = Cases(torch.arange(20), targets, asked)
    rows, _ = measure(Mahalanobis().fit(features[20:]), asked, cases, title="", attack="", seconds=0.0, seed=0)
    for row in rows:
        assert row.value == row.high == 1, row.metric
        assert 0.5 < row.low < 0.95, row.metric


def coverage(area: float, normal: int, anomalous: int, spread: float, repeats: int) -> float:
    """Share of intervals that hold the area of two normal distributions whose AUROC it is."""
    lead = NormalDist().inv_cdf(area) * math.sqrt(1 + spread**2)
    truth, images = torch.arange(normal + anomalous) >= normal, torch.arange(normal + anomalous)
    held = 0
    for trial in range(repeats):
        noise = torch.randn(len(truth), generator=generator(trial, normal, anomalous), dtype=torch.float64)
        low, high = auroc_interval(one(torch.where(truth, lead + spread * noise, noise), truth), images)
        held += low <= area <= high
    return held / repeats


@pytest.mark.slow
@pytest.mark.parametrize("area", [0.86, 0.98, 0.99])
@pytest.mark.parametrize("side", [10, 30, 150])
def test_it_covers_what_it_promises(side: int, area: float) -> None:
    assert 0.93 <= coverage(area, side, side, 1.0, 3000) <= 0.97


def test_it_covers_the_mean_over_classes() -> None:
    """Ten detectors, each image asked by two of them: the interval is neither that of one ranking nor a point."""
    held, widths = 0, []
    for trial in range(100):
        images = torch.arange(100).repeat_interleave(2)
        detectors = torch.stack([torch.arange(100) % 10, (torch.arange(100) // 10 + torch.arange(100) + 1) % 10], 1)
        own = torch.arange(100) % 10
        anomalous = (detectors != own[:, None]).long().flatten()
        targets = torch.stack([detectors.flatten(), anomalous], dim=1)
        image_noise = torch.randn(100, generator=generator(trial, 5)).repeat_interleave(2)
        noise = torch.randn(200, generator=generator(trial, 6)) + image_noise
        judged = {"anomaly": noise + 2 * math.sqrt(2) * anomalous}
        low, high = auroc_interval(OneClass().rankings(judged, targets), images)
        area = NormalDist().cdf(math.sqrt(2))  # a lead of 2 sqrt 2 between two variances of 2
        held += low <= area <= high
        widths.append(high - low)
    assert held >= 88
    assert 0.01 < sum(widths) / len(widths) < 0.2
