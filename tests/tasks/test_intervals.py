"""Intervals against scipy and against their own promise."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from robustfeat.evaluation.measure import measure
from robustfeat.evaluation.pipeline import Cases
from robustfeat.numerics.random import generator
from robustfeat.tasks import Mahalanobis
from robustfeat.tasks.metrics.intervals import bootstrap, wilson


@pytest.mark.parametrize("n", [1, 2, 7, 40, 500, 10_000])
def test_wilson_as_scipy(n: int) -> None:
    for hits in {0, 1, n // 3, n // 2, n - 1, n}:
        expected = binomtest(hits, n).proportion_ci(method="wilson")
        assert wilson(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_wilson_contains_the_rate_at_both_ends() -> None:
    for n in range(1, 300):
        assert wilson(0.0, n)[0] == 0.0
        assert wilson(1.0, n)[1] == 1.0
    assert wilson(0.5, 0) == (0.0, 1.0)


def mean_of(sample: Tensor) -> Callable[[Tensor], dict[str, float]]:
    return lambda drawn: {"mean": float(sample[drawn].mean())}


def test_bootstrap_covers_the_mean() -> None:
    covered = 0
    for trial in range(100):
        sample = 3 + 2 * torch.randn(60, generator=generator(11, trial))
        low, high = bootstrap(mean_of(sample), 60, generator(12, trial))["mean"]
        assert low <= float(sample.mean()) <= high
        covered += low <= 3 <= high
    assert 88 <= covered <= 99


def test_bootstrap_width_as_the_normal_interval() -> None:
    sample = torch.randn(400, generator=generator(13))
    low, high = bootstrap(mean_of(sample), 400, generator(14), resamples=1000)["mean"]
    assert high - low == pytest.approx(2 * 1.96 * float(sample.std()) / 20, rel=0.1)


def test_bootstrap_is_reproducible() -> None:
    sample = torch.randn(30, generator=generator(15))
    first, again, other = (bootstrap(mean_of(sample), 30, generator(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_bootstrap_leaves_out_undefined_resamples() -> None:
    def summary(drawn: Tensor) -> dict[str, float]:
        if 0 not in drawn:
            raise ValueError("undefined")
        return {"share of image 0": float((drawn == 0).float().mean())}

    low, _ = bootstrap(summary, 5, generator(16))["share of image 0"]
    assert low >= 0.2
    assert bootstrap(lambda _: summary(torch.ones(1)), 5, generator(16)) == {}


def test_an_interval_holds_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The percentile bootstrap is biased for some metrics, such as AUPR at its floor, and may miss the number itself."""
    monkeypatch.setattr(sys.modules["robustfeat.evaluation.measure"], "bootstrap", lambda *_: {"aupr": (0.6, 0.7)})
    normal = torch.randn(50, 4, generator=generator(2))
    cases = Cases(torch.arange(50), torch.tensor([0, 1] * 25), normal)
    rows, _ = measure(Mahalanobis().fit(normal), normal, cases, title="anomaly", attack="none", seconds=0.0, seed=0)
    aupr = next(row for row in rows if row.metric == "aupr")
    assert aupr.value < 0.6
    assert (aupr.low, aupr.high) == (aupr.value, 0.7)
