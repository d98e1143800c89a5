"""The promise of an index: scores of its metric, options of one search only, metadata and ids that stay what they are."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from robustfeat.index import FeatureIndex, merge
from robustfeat.runtime.errors import IntegrityError

RANDOM = np.random.default_rng(0)
X = (RANDOM.standard_normal((400, 16)) * RANDOM.uniform(0.1, 10, (400, 1))).astype(np.float32)
Q = X[:20] + 0.1 * RANDOM.standard_normal((20, 16)).astype(np.float32)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "factory",
    [
        "Flat",
        "OPQ4,Flat",
        "PCA8,Flat",
        "PCAR8,Flat",
        "PCAW8,Flat",
        "RR8,Flat",
        "PCA8,L2norm,Flat",
        "Pad32,Flat",
        "ITQ8,Flat",
    ],
)
def test_cosines_are_cosines_behind_any_transform(factory: str) -> None:
    """Against FAISS's own transforms, and NumPy behind them."""
    index = FeatureIndex(16, factory=factory).add(X)
    hits = index.search(Q, 10)
    seen, asked = unit(X), unit(Q)
    inner = faiss.downcast_index(index.raw.index)
    if isinstance(inner, faiss.IndexPreTransform):
        for i in range(inner.chain.size()):
            transform = faiss.downcast_VectorTransform(inner.chain.at(i))
            seen, asked = (transform.apply(np.ascontiguousarray(rows, np.float32)) for rows in (seen, asked))
    expected = -np.sort(-(unit(asked) @ unit(seen).T), axis=1)[:, :10]
    np.testing.assert_allclose(hits.scores, expected, atol=1e-5)
    np.testing.assert_allclose(index.search(X[:20], 1).scores, 1, atol=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product"])
@pytest.mark.parametrize("factory", ["LSH", "PCA8,LSH", "ZnLattice2x4_4"])
def test_what_knows_other_scores_only_is_refused(factory: str, metric: Any) -> None:
    with pytest.raises(ValueError, match="factory"):
        FeatureIndex(16, factory=factory, metric=metric)


@pytest.mark.parametrize("metric", ["l2", "inner_product"])
def test_lengths_are_not_lost_in_silence(metric: Any) -> None:
    with pytest.raises(ValueError, match="use metric 'cosine'"):
        FeatureIndex(16, factory="L2norm,Flat", metric=metric)


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product"])
@pytest.mark.parametrize("factory", ["Flat", "IVF8,SQ8", "HNSW8", "PCA8,IVF8,Flat", "SQ4", "SQ4,RFlat"])
def test_scores_descend(factory: str, metric: Any) -> None:
    scores = FeatureIndex(16, factory=factory, metric=metric).add(X).search(Q, 10).scores
    assert (np.diff(scores, axis=1) <= 0).all()


def test_an_index_of_another_metric_is_not_read(tmp_path: Path) -> None:
    """The files of an l2 index beside the sidecar of a cosine one, checksums and all."""
    index = FeatureIndex(16, metric="l2").add(X)
    index.metric = "cosine"
    index.save(tmp_path)
    with pytest.raises(IntegrityError, match="not the one that describes"):
        FeatureIndex.load(tmp_path)


@pytest.mark.parametrize("factory", ["IVF16,Flat", "PCA8,IVF16,Flat", "IVF16,SQ8", "IVF16,SQ8,RFlat", "IVF16,PQ4x4"])
def test_nprobe_is_that_of_one_search(factory: str) -> None:
    index = FeatureIndex(16, factory=factory).add(X)
    clusters = faiss.try_extract_index_ivf(index.raw) or faiss.extract_index_ivf(index.raw.index.base_index)
    found = {n: index.search(Q, 30, widen=False, nprobe=n).ids for n in (1, 16)}
    assert clusters.nprobe == 1
    for n, ids in found.items():
        clusters.nprobe = n
        np.testing.assert_array_equal(ids, index.search(Q, 30, widen=False).ids)
    assert (found[1] < 0).any()
    assert not (found[16] < 0).any()


def test_ef_search_is_that_of_one_search() -> None:
    index = FeatureIndex(16, factory="HNSW4").add(X)
    graph = faiss.downcast_index(index.raw.index).hnsw
    narrow, wide = (index.search(Q, 5, ef_search=n).ids for n in (1, 400))
    assert graph.efSearch == 16
    exact = np.argsort(-(unit(Q) @ unit(X).T), axis=1)[:, :5]
    assert (wide == exact).mean() > (narrow == exact).mean()


def test_threads_do_not_change_each_others_search() -> None:
    index = FeatureIndex(16, factory="IVF16,Flat").add(X)
    expected = {n: index.search(Q, 40, widen=n == 16, nprobe=n).ids for n in (1, 16)}
    wrong: list[int] = []

    def ask(n: int) -> None:
        for _ in range(50):
            if not np.array_equal(index.search(Q, 40, widen=n == 16, nprobe=n).ids, expected[n]):
                wrong.append(n)

    threads = [threading.Thread(target=ask, args=(n,)) for n in (1, 16) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert (expected[1] < 0).any()


@pytest.mark.parametrize("options", [{"nprobe": 1}, {"ef_search": 0}, {"ef_search": 2.5}, {"nprobe": True}])
def test_options_that_an_index_has_not(options: Any) -> None:
    with pytest.raises(ValueError, match="must be a whole number, at least 1, for an index that has it"):
        FeatureIndex(16, factory="HNSW4").add(X).search(Q, 1, **options)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        (1, 2),
        {"a": (1,)},
        {1: "a"},
        b"bytes",
        {1, 2},
        np.float32(1),
        [float("nan")],
        pytest.param(object(), id="an object"),
    ],
    ids=str,
)
def test_metadata_that_would_not_come_back_is_refused(value: Any) -> None:
    index = FeatureIndex(16)
    with pytest.raises(ValueError, match="metadata of id 7"):
        index.add(X[:2], [5, 7], [{"fine": [1, None, "ä"]}, value])
    assert len(index) == 0
    assert not index.metadata


def test_metadata_comes_back(tmp_path: Path) -> None:
    values = [{"a": [1, 2.5, None, True, "ä\ud800"]}, [], "text", 1e300]
    FeatureIndex(16).add(X[:4], metadata=values).save(tmp_path)
    assert FeatureIndex.load(tmp_path).metadata == dict(enumerate(values))


def test_ids_of_what_was_removed_are_not_given_again(tmp_path: Path) -> None:
    index = FeatureIndex(16).add(X[:5]).remove([3, 4])
    index.add(X[5:6])
    assert sorted(index.ids) == [0, 1, 2, 5]
    index.remove([5]).save(tmp_path / "one")
    again = FeatureIndex.load(tmp_path / "one")
    assert sorted(again.add(X[:1]).ids) == [0, 1, 2, 6]
    assert sorted(again.add(X[:1], [5]).ids) == [0, 1, 2, 5, 6], "but where they are asked for"
    FeatureIndex(16).add(X[:1], [3]).save(tmp_path / "two")
    merge([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    assert sorted(FeatureIndex.load(tmp_path / "both").add(X[:1]).ids) == [0, 1, 2, 3, 6]


@pytest.mark.parametrize("scale", [2.0**-66, 2.0**83])
def test_cosines_at_any_scale(scale: float) -> None:
    plain, scaled = (FeatureIndex(16).add(s * X).search(s * Q, 10) for s in (1.0, np.float32(scale)))
    np.testing.assert_array_equal(plain.ids, scaled.ids)
    np.testing.assert_array_equal(plain.scores, scaled.scores)


@pytest.mark.parametrize("metric", ["l2", "inner_product"])
@pytest.mark.parametrize("scale", [1e-20, 1e25])
def test_other_metrics_refuse_what_float32_can_not_square(scale: float, metric: Any) -> None:
    with pytest.raises(ValueError, match="their products are lost in float32"):
        FeatureIndex(16, metric=metric).add(np.float32(scale) * X)


def test_a_search_by_other_libraries_in_the_process_changes_nothing() -> None:
    """`faiss.contrib.torch_utils` replaces FAISS's search by one without parameters, once and for the whole process."""
    code = (
        "import numpy as np\n"
        "from robustfeat.index import FeatureIndex\n"
        "x = np.random.default_rng(0).standard_normal((300, 8)).astype('float32')\n"
        "index = FeatureIndex(8, factory='IVF8,Flat')\n"
        "index.train(x)\n"
        "index.add(x)\n"
        "before = index.search(x[:5], 4, nprobe=3)\n"
        "import faiss.contrib.torch_utils\n"
        "after = index.search(x[:5], 4, nprobe=3)\n"
        "assert (before.ids == after.ids).all() and (before.scores == after.scores).all()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
