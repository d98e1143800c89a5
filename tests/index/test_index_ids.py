"""The ids of an index against Python's set."""

from __future__ import annotations

import numpy as np
import pytest

from robustfeat.index import FeatureIndex, contents
from robustfeat.index.ids import LARGEST, Ids


def test_as_a_set() -> None:
    random = np.random.default_rng(0)
    ids, expected = Ids(np.array([7, 3])), {3, 7}
    for _ in range(300):
        some = random.choice(3000, size=random.integers(0, 40), replace=False)
        known = np.array([key in expected for key in some.tolist()], dtype=bool)
        np.testing.assert_array_equal(ids.holds(some), known)
        if random.random() < 0.3:
            ids.remove(some)
            expected -= set(some.tolist())
        else:
            ids.add(some[~known])
            expected |= set(some.tolist())
        assert ids.free(2).tolist() == [max(expected, default=-1) + 1, max(expected, default=-1) + 2]


def test_a_stream_costs_n_log_n() -> None:
    """Counted in ids that are sorted again: each once for every doubling, and not once a chunk."""
    touched = 0
    ids = Ids(np.empty(0, dtype=np.int64))
    for chunk in np.arange(20_000).reshape(2000, 10):
        before = list(ids._runs)
        ids.add(chunk)
        touched += sum(len(run) for run in ids._runs if not any(run is old for old in before))
        assert len(ids._runs) <= 12
    assert touched < 20_000 * 12


def test_an_index_is_asked_for_its_ids_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    read = contents.ids
    monkeypatch.setattr(contents, "ids", lambda index: calls.append(1) or read(index))
    index = FeatureIndex(4)
    for start in range(0, 50, 5):
        index.add(np.ones((5, 4), dtype=np.float32), np.arange(start, start + 5))
    index.remove([3]).add(np.ones((1, 4), dtype=np.float32))
    assert len(calls) == 1
    assert sorted(index.ids.tolist()) == [0, 1, 2, *range(4, 51)]


def test_the_largest_id() -> None:
    index = FeatureIndex(4).add(np.ones((1, 4), dtype=np.float32), [LARGEST])
    assert index.search(np.ones((1, 4)), 1).ids.item() == LARGEST
    with pytest.raises(ValueError, match="there are no 1 ids after 9223372036854775807"):
        index.add(np.ones((1, 4), dtype=np.float32))
