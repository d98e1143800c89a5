"""The statistics of a bench against closed forms."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from small_grid import GRID

from robustfeat.bench import Grid, bench, summarise
from robustfeat.bench.summary import holm, sign_test


def test_the_summary_by_hand(done: Path) -> None:
    outcome = bench(Grid.from_dict(GRID), done, progress=False)
    cells, summary = outcome.cells, summarise(outcome, done, "gacd")
    for line in summary.lines:
        same = [cell for cell in cells if (cell.method, cell.student) == (line.method, line.student)]
        for name, (mean, spread) in line.numbers.items():
            values = [_robust(cell.numbers) if name == "mean robust" else cell.numbers[name] for cell in same]
            assert mean == pytest.approx(np.mean(values))
            assert np.isnan(spread) if len(values) == 1 else spread == pytest.approx(np.std(values, ddof=1))
    probe = {line.method: line.numbers["probe robust"][0] for line in summary.lines}
    assert {a.over for a in summary.advantages} == {"natural", "at"}
    for a in summary.advantages:
        assert a.difference == pytest.approx(probe["gacd"] - probe[a.over])
        assert a.p <= a.holm <= 1


def _robust(numbers: dict[str, float]) -> float:
    return (numbers["probe robust"] + numbers["retrieval robust"] + numbers["anomaly robust"]) / 3


def test_random_signs_against_all_signs() -> None:
    gaps = np.array([0.5, 1, 1, -0.5, 0, 0.5, 1, 0.5, -1, 0.5])
    every = [abs(np.dot(signs, gaps)) >= abs(gaps.sum()) - 1e-9 for signs in itertools.product([-1, 1], repeat=10)]
    assert sign_test(gaps) == pytest.approx(np.mean(every), abs=0.015)
    assert sign_test(np.zeros(5)) == 1
    assert sign_test(np.ones(40)) < 0.001


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
