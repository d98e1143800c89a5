"""Indexes merged on the disk against brute force, raw FAISS and FAISS's own bytes; differing, damaged, killed half-way."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from robustfeat.index import FeatureIndex, Metric, clustered, merge
from robustfeat.runtime import files, sidecar
from robustfeat.runtime.errors import IntegrityError

D = 16
NUMBERS = np.random.default_rng(0)
ITEMS = NUMBERS.standard_normal((600, D), dtype=np.float32)
QUERIES = NUMBERS.standard_normal((20, D), dtype=np.float32)
IDS = NUMBERS.permutation(10_000)[:600]
PARTS = (slice(0, 250), slice(250, 250), slice(250, 600))  # the second shard is empty

MERGED = (
    "Flat",
    "SQ8",
    "PQ8x4",
    "PCA8,Flat",
    "IVF8,Flat",
    "IVF8,SQ8",
    "IVF8,PQ8x4",
    "PCA8,IVF8,Flat",
    "IVF4_HNSW8,Flat",
)
NOT_MERGED = ("HNSW8", "IVF8,PQ8x4fs", "IVF4,Flat,RFlat", "PQ8x4fs", "PCA8,HNSW8")


def shards(folder: Path, factory: str, metric: Metric = "cosine", extractor: str = "ab12") -> list[Path]:
    """Three indexes that have learned the same."""
    trained = FeatureIndex(D, factory=factory, metric=metric, extractor=extractor).train(ITEMS)
    trained.notes["model"] = "x"
    made = []
    for number, part in enumerate(PARTS):
        shard = trained.shard()
        if len(ITEMS[part]):
            shard.add(ITEMS[part], IDS[part], [{"file": f"{i}.png"} for i in IDS[part]])
        shard.notes[f"only {number}"] = number
        made.append(shard.save(folder / f"shard {number}"))
    return made


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("metric", ["cosine", "inner_product", "l2"])
@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_a_merged_index_is_a_full_sort(factory: str, metric: Metric, tmp_path: Path) -> None:
    merge(shards(tmp_path, factory, metric), tmp_path / "all")
    x, q = ITEMS.astype(np.float64), QUERIES.astype(np.float64)
    if metric == "cosine":
        x, q = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, q))
    expected = -np.linalg.norm(q[:, None] - x, axis=2) if metric == "l2" else q @ x.T
    order = np.argsort(-expected, axis=1)
    for mmap in (True, False):
        hits = FeatureIndex.load(tmp_path / "all", mmap=mmap).search(QUERIES, 600)
        np.testing.assert_array_equal(hits.ids[:, :20], IDS[order[:, :20]])
        np.testing.assert_allclose(hits.scores, np.take_along_axis(expected, order, axis=1), atol=1e-4)
        assert (np.sort(hits.ids, axis=1) == np.sort(IDS)).all(), "every item once, and never -1"


@pytest.mark.parametrize("factory", MERGED)
def test_a_merged_index_is_the_one_that_memory_would_hold(factory: str, tmp_path: Path) -> None:
    """As raw FAISS finds it, and in the bytes in which FAISS writes it."""
    made = merge(shards(tmp_path, factory), tmp_path / "all")
    one = FeatureIndex.load(tmp_path / "shard 1")
    for part in PARTS:
        one.add(ITEMS[part], IDS[part])
    (file,) = made.glob("*.faiss")
    assert file.read_bytes() == faiss.serialize_index(one.raw).tobytes()

    behind = factory.replace("PCA8,", "PCA8,L2norm,")  # cosines are cosines behind it
    raw = faiss.index_factory(D, behind, faiss.METRIC_INNER_PRODUCT)
    x, q = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (ITEMS, QUERIES))
    raw.train(x)
    raw.add(x)
    scores, rows = raw.search(q, 5)
    merged = FeatureIndex.load(made, extractor="ab12", mmap=True)
    hits = merged.search(QUERIES, 5)
    np.testing.assert_allclose(hits.scores, scores, rtol=1e-4)
    assert (hits.ids == IDS[rows]).mean() > 0.98, "where two items are as near, either may be first"

    assert merged.metadata == {int(i): {"file": f"{i}.png"} for i in IDS}
    assert merged.notes == {"model": "x", "only 0": 0, "only 1": 1, "only 2": 2}
    assert names(made) == sorted(["index.json", file.name])
    more = FeatureIndex.load(made).add(QUERIES[:1], [77_777])
    assert 77_777 in more.search(QUERIES[:1], 3).ids
    assert len(more) == 601


def test_mostly_empty_clusters(tmp_path: Path) -> None:
    trained = FeatureIndex(D, factory="IVF100,Flat").train(ITEMS)
    for name, part in (("a", slice(0, 6)), ("b", slice(6, 9))):
        trained.shard().add(ITEMS[part], np.arange(9)[part]).save(tmp_path / name)
    merged = FeatureIndex.load(merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all"), mmap=True)
    assert merged.search(ITEMS[:9], 9).ids[:, 0].tolist() == list(range(9))
    empty = trained.save(tmp_path / "empty")
    assert len(FeatureIndex.load(merge([empty, empty], tmp_path / "nothing"), mmap=True)) == 0


def test_a_shard_has_learned_the_same_and_is_apart(tmp_path: Path) -> None:
    index = FeatureIndex(D, factory="IVF8,PQ8x4").add(ITEMS, metadata=[0] * 600)
    shard = index.shard().add(ITEMS)
    assert faiss.serialize_index(shard.raw).tobytes() == faiss.serialize_index(index.raw).tobytes()
    shard.remove(np.arange(600))
    assert (len(shard), len(index), shard.metadata) == (0, 600, {})
    mapped = FeatureIndex.load(index.save(tmp_path), mmap=True).shard()
    assert (len(mapped), mapped.read_only, mapped.trained) == (0, False, True)


def test_into_one_of_the_shards(tmp_path: Path) -> None:
    folders = shards(tmp_path, "IVF8,Flat")
    merge(folders, folders[0])
    assert len(FeatureIndex.load(folders[0], mmap=True)) == 600
    assert len(names(folders[0])) == 2
    with pytest.raises(ValueError, match=r"ids must not repeat, but 350 do: \d+ is in .*shard 0.*shard 2"):
        merge(folders, tmp_path / "all")


def other(folder: Path, **changes: Any) -> Path:
    """A shard that differs from those above."""
    arguments = {"dim": D, "factory": "IVF8,Flat", "metric": "cosine", "extractor": "ab12"} | changes
    items = np.random.default_rng(7).standard_normal((300, arguments["dim"]), dtype=np.float32)
    return FeatureIndex(**arguments).add(items, np.arange(20_000, 20_300)).save(folder / "other")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 8}, r"'.*other' has dim 8, and '.*shard 0' 16"),
        ({"factory": "Flat"}, r"'.*other' has factory 'Flat', and '.*shard 0' 'IVF8,Flat'"),
        ({"metric": "l2"}, r"'.*other' has metric 'l2', and .* 'cosine'"),
        ({"extractor": "cd34"}, r"'.*other' has extractor 'cd34', and .* 'ab12'"),
        (
            {},
            r"shard '.*other' was not trained like '.*shard 0': train one index, and fill shards that its shard\(\) makes",
        ),
    ],
)
def test_shards_that_differ(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    folders = [*shards(tmp_path, "IVF8,Flat"), other(tmp_path, **changes)]
    with pytest.raises(ValueError, match=message):
        merge(folders, tmp_path / "all")
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize("factory", NOT_MERGED)
def test_kinds_that_can_not_be_merged(factory: str, tmp_path: Path) -> None:
    index = FeatureIndex(D, factory=factory).add(ITEMS)
    folder = index.save(tmp_path / "index")
    for attempt in (index.shard, lambda: merge([folder], tmp_path / "all")):
        with pytest.raises(ValueError, match=f"indexes '{factory}' cannot be joined: .* use Flat, PQ or SQ, or IVF"):
            attempt()


def test_nothing_to_merge(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to merge"):
        merge([], tmp_path / "all")
    with pytest.raises(FileNotFoundError, match="holds no index"):
        merge([*shards(tmp_path, "Flat"), tmp_path / "none"], tmp_path / "all")


def test_damage_of_a_merged_index_is_found(tmp_path: Path) -> None:
    whole, moments = merge(shards(tmp_path, "IVF8,Flat"), tmp_path / "all"), random.Random(0)
    for name in names(whole):
        content = (whole / name).read_bytes()
        for damage in range(60):
            changed = bytearray(content)
            if damage < 50:
                changed[moments.randrange(len(content) - 1)] ^= 1 << moments.randrange(8)
            else:
                del changed[moments.randrange(len(content) - 1) :]
            (whole / name).write_bytes(changed)
            with pytest.raises(IntegrityError):
                FeatureIndex.load(whole, mmap=damage % 2 == 0)
            with pytest.raises(IntegrityError):
                merge([whole], tmp_path / "more")
        (whole / name).write_bytes(content)
    assert len(FeatureIndex.load(whole, mmap=True)) == 600
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_an_error_leaves_nothing(
    factory: str, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = shards(tmp_path, factory)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(sidecar, "_file_of", fail)
    with pytest.raises(error):
        merge(folders, tmp_path / "all")
    assert names(tmp_path / "all") == []


MOMENTS = (
    (clustered.struct, "pack", 3),  # the head of the merged file is written, its lists are not
    (sidecar, "sha256", 4),  # the fourth file is the merged one
    (sidecar, "_file_of", 1),
    (files, "sync", 1),
    (files, "sync", 2),  # the merged file has its name
    (files, "sync", 3),  # the sidecar has not
)


def die_at(module: Any, name: str, moment: int) -> None:
    """Kill this process at a call of a function."""
    calls, real = [], getattr(module, name)

    def call(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    setattr(module, name, call)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment[1]} {moment[2]}")
def test_killed_half_way_the_folder_holds_what_it_held(moment: tuple[Any, str, int], tmp_path: Path) -> None:
    folders = shards(tmp_path, "IVF8,Flat")
    before = FeatureIndex(D).add(ITEMS[:5]).save(tmp_path / "old")
    for out in (tmp_path / "new", before):
        child = os.fork()
        if child == 0:
            try:
                die_at(*moment)
                merge(folders, out)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with pytest.raises(FileNotFoundError, match="holds no index"):
        FeatureIndex.load(tmp_path / "new")
    assert len(FeatureIndex.load(before)) == 5
    assert len(FeatureIndex.load(merge(folders, tmp_path / "new"))) == 600
