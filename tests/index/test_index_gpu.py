"""Searches on GPUs, with FAISS's own functions replaced: no GPU is needed, and none is tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from robustfeat.index import FeatureIndex

ITEMS = np.random.default_rng(0).standard_normal((200, 8), dtype=np.float32)
QUERIES = np.random.default_rng(1).standard_normal((5, 8), dtype=np.float32)


class Copy:
    """What FAISS would put on the GPUs; it finds at most 50."""

    made: list[Copy]

    def __init__(self, index: Any) -> None:
        self.index = faiss.clone_index(index)
        self.searches = 0
        self.made.append(self)

    def search(self, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if k > 50:
            raise RuntimeError("k must be at most 50")
        self.searches += 1
        return self.index.search(x, k)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[Copy]:
    monkeypatch.setattr(Copy, "made", [], raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", Copy)
    return Copy.made


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat"])
def test_one_copy_until_the_index_changes(factory: str, gpu: list[Copy]) -> None:
    index = FeatureIndex(8, factory=factory).add(ITEMS)
    assert gpu == [], "made when it is needed"
    found = [index.search(QUERIES, 3) for _ in range(4)]
    assert [copy.searches for copy in gpu] == [4]
    index.add(QUERIES[:1], [777])
    assert index.search(QUERIES[:1], 1).ids.item() == 777
    index.remove([777])
    np.testing.assert_array_equal(index.search(QUERIES, 3).ids, found[0].ids)
    assert [copy.searches for copy in gpu] == [4, 1, 1]


def test_what_the_gpus_refuse_the_cpu_does(gpu: list[Copy], monkeypatch: pytest.MonkeyPatch) -> None:
    index = FeatureIndex(8, factory="IVF4,Flat").add(ITEMS)
    assert (np.sort(index.search(QUERIES, 200).ids, axis=1) == np.arange(200)).all()
    assert [copy.searches for copy in gpu] == [0]

    def refuse(index: Any) -> None:
        raise RuntimeError("this type of index is not implemented")

    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", refuse)
    graph = FeatureIndex(8, factory="HNSW8").add(ITEMS)
    assert graph.search(ITEMS[:5], 1).ids[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_too_few_found_on_the_gpus_are_found_on_the_cpu(gpu: list[Copy]) -> None:
    index = FeatureIndex(8, factory="IVF50,Flat").add(ITEMS)
    assert (index.search(QUERIES, 40, widen=False).ids < 0).any()
    assert (index.search(QUERIES, 40).ids >= 0).all()
    assert [copy.searches for copy in gpu] == [2]


def test_an_index_in_a_file_stays_there(gpu: list[Copy], tmp_path: Path) -> None:
    FeatureIndex(8).add(ITEMS).save(tmp_path)
    assert FeatureIndex.load(tmp_path, mmap=True).search(ITEMS[:1], 1).ids.item() == 0
    assert gpu == []


def test_without_gpus_no_copy(gpu: list[Copy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert FeatureIndex(8).add(ITEMS).search(ITEMS[:1], 1).ids.item() == 0
    assert gpu == []
