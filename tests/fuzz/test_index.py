"""Random calls of an index against a dictionary of vectors."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("faiss")

from robustfeat.index import FeatureIndex

DIM = 4
ACTION = st.sampled_from(["add", "add named", "remove", "search", "reload", "bad remove", "bad add"])


def nearest(items: dict[int, np.ndarray], query: np.ndarray, metric: str) -> dict[int, float]:
    if metric == "l2":
        return {key: -float(np.linalg.norm(item - query)) for key, item in items.items()}
    if metric == "cosine":
        query = query / np.linalg.norm(query)
        return {key: float(item @ query / np.linalg.norm(item)) for key, item in items.items()}
    return {key: float(item @ query) for key, item in items.items()}


@given(
    st.lists(ACTION, max_size=12),
    st.sampled_from(["Flat", "SQfp16", "IVF1,Flat"]),
    st.sampled_from(["cosine", "inner_product", "l2"]),
    st.integers(0, 10_000),
)
def test_calls(actions: list[str], factory: str, metric: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    index = FeatureIndex(DIM, factory=factory, metric=metric)  # type: ignore[arg-type]
    items: dict[int, np.ndarray] = {}
    given_out = 0
    for action in ["add", *actions]:
        new = random.normal(size=(int(random.integers(1, 4)), DIM)).astype(np.float32)
        if action == "add":
            index.add(new, metadata=[{"n": given_out + i} for i in range(len(new))])
            items |= {given_out + i: row for i, row in enumerate(new)}
            given_out += len(new)
        elif action == "add named":
            keys = given_out + 10 + random.permutation(20)[: len(new)]
            index.add(new, keys, [{"n": int(key)} for key in keys])
            items |= {int(key): row for key, row in zip(keys, new, strict=True)}
            given_out = max(given_out, int(keys.max()) + 1)
        elif action == "bad add" and items:
            with pytest.raises(ValueError, match="id"):
                index.add(new, [next(iter(items))] * len(new))
        elif action == "remove" and items:
            gone = random.permutation(sorted(items))[: int(random.integers(1, 3))]
            index.remove(gone)
            for key in gone:
                del items[int(key)]
        elif action == "bad remove":
            with pytest.raises(KeyError, match="no id"):
                index.remove([given_out + 1000])
        elif action == "reload":
            with tempfile.TemporaryDirectory() as folder:
                index = FeatureIndex.load(index.save(folder))
        assert len(index) == len(items)
        assert sorted(index.ids.tolist()) == sorted(items)
        assert index.metadata == {key: {"n": key} for key in items}
        if items:
            check_search(index, items, new[0], metric)


def check_search(index: FeatureIndex, items: dict[int, np.ndarray], query: np.ndarray, metric: str) -> None:
    hits = index.search(query[None], len(items))
    scores = nearest(items, query, metric)
    assert sorted(hits.ids[0].tolist()) == sorted(items)
    assert (np.diff(hits.scores[0]) <= 1e-6).all()
    for key, score in zip(hits.ids[0], hits.scores[0], strict=True):
        assert abs(float(score) - scores[int(key)]) < 2e-2 * (1 + abs(scores[int(key)]))
    best = max(scores.values())
    assert scores[int(hits.ids[0, 0])] > best - 2e-2 * (1 + abs(best))
