"""Where a number measured again should lie, by counting and by hand."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import pytest

from robustfeat.publishing.agreement import ERROR, expected
from robustfeat.report import Row


def row(value: float, n: int, low: float = 0.0, high: float = 1.0) -> Row:
    return Row("task", "metric", "attack", None, "", value, low, high, n, 0.0)


@pytest.mark.parametrize(("n", "right"), [(10, 4), (12, 0), (11, 11), (13, 6)])
def test_the_interval_of_a_rate_by_counting_all_samples(n: int, right: int) -> None:
    """Of all subsets of the images, at most ERROR are outside, and with a tighter interval more would be."""
    images = [1] * right + [0] * (n - right)
    for m in range(1, n + 1):
        counts = Counter(sum(chosen) for chosen in itertools.combinations(images, m))
        total = sum(counts.values())
        published, numbers = row(right / n, n), 0.05  # ERROR / numbers is 20 %: few images have no rarer events
        low, high = expected(published, row(0.5, m), rate=True, numbers=numbers)  # type: ignore[arg-type]
        tail = ERROR / numbers / 2
        lowest, highest = min(counts), max(counts)
        inner = [
            k
            for k in counts
            if sum(counts[j] for j in counts if j <= k) / total >= tail
            and sum(counts[j] for j in counts if j >= k) / total > tail
        ]
        assert low == pytest.approx(max(0, min(inner) - 1) / m), (m, "one image of slack")
        assert high == pytest.approx(min(m, max(inner) + 1) / m)
        if m == n:
            assert lowest == highest == right
            assert (low, high) == (max(0, right - 1) / n, min(n, right + 1) / n), "the same images: the same number"


def test_the_interval_of_a_mean() -> None:
    """The sample's spread, less what the images that are known already take away; 0 for all of them."""
    published, sample = row(0.6, 1000), row(0.5, 250, low=0.5 - 0.04 * 1.959964, high=0.5 + 0.04 * 1.959964)
    low, high = expected(published, sample, rate=False)
    assert (low + high) / 2 == pytest.approx(0.6)
    assert (high - low) / 2 == pytest.approx(2.5758 * 0.04 * 0.75**0.5 + 0.01, abs=1e-5)
    wider = expected(published, sample, rate=False, numbers=50)
    assert wider[1] - wider[0] > 1.4 * (high - low) - 0.02
    whole = dataclasses.replace(sample, n=1000)
    assert expected(published, whole, rate=False) == pytest.approx((0.59, 0.61))
