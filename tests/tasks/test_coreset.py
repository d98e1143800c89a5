"""Greedy k-centre against a plain loop and against the best choice of all; the projection keeps what counts."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks.detectors.coreset import cover, k_centre


def points(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=generator(seed))


def radius(x: Tensor, chosen: Tensor) -> float:
    """The largest distance of a point to its nearest chosen one."""
    return float(cdist(x.double().numpy(), x[chosen].double().numpy()).min(axis=1).max())


@pytest.mark.parametrize("first", [0, 17])
def test_as_a_plain_loop(first: int) -> None:
    x = points(60, 5)
    distances = cdist(x.double().numpy(), x.double().numpy())
    expected = [first]
    for _ in range(11):
        expected.append(int(np.argmax([min(distances[i, j] for j in expected) for i in range(60)])))
    assert k_centre(x, 12, first).tolist() == expected


@pytest.mark.parametrize("count", [1, 2, 3])
def test_at_most_twice_the_best_radius(count: int) -> None:
    for seed in range(5):
        x = points(14, 2, seed)
        best = min(radius(x, torch.tensor(chosen)) for chosen in combinations(range(14), count))
        assert best <= radius(x, k_centre(x, count, 0)) <= 2 * best


def test_covers_better_than_chance() -> None:
    x = torch.cat([points(300, 400) / 10, points(8, 400, 1)])  # a crowd, and eight that stand apart
    chosen = cover(x, 12, generator(2))
    assert set(range(300, 308)) <= set(chosen.tolist())
    assert radius(x, chosen) < 0.5 * radius(x, torch.randperm(300, generator=generator(3))[:12])


def test_projected_as_good_as_not() -> None:
    x = points(200, 500)
    whole = radius(x, k_centre(x, 40, int(cover(x, 1, generator(4)))))
    assert radius(x, cover(x, 40, generator(4))) < 1.1 * whole


def test_the_seed_decides() -> None:
    x = points(50, 4)
    assert torch.equal(cover(x, 9, generator(5)), cover(x, 9, generator(5)))
    assert not torch.equal(cover(x, 9, generator(5)), cover(x, 9, generator(6)))


def test_copies_are_taken_once() -> None:
    x = points(5, 3)
    chosen = cover(x.repeat(4, 1), 20, generator(7))
    assert sorted(i % 5 for i in chosen.tolist()) == [0, 1, 2, 3, 4]
    assert len(cover(torch.ones(9, 3), 9, generator(7))) == 1
    assert cover(x[:1], 1, generator(7)).tolist() == [0]
