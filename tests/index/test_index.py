"""FeatureIndex against raw FAISS and brute force; damage, hostile files and nonsense are named."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.index import FeatureIndex, Metric
from robustfeat.numerics.random import generator
from robustfeat.runtime.errors import IntegrityError

D = 16
ITEMS = torch.randn(400, D, generator=generator(0))
QUERIES = torch.randn(30, D, generator=generator(1))
FACTORIES = ("Flat", "IVF8,Flat", "HNSW16", "PQ8x4", "IVF8,PQ8x4")


def scores(metric: str) -> Tensor:
    """By brute force, larger is nearer: (30, 400)."""
    if metric == "l2":
        return -torch.cdist(QUERIES, ITEMS)
    x, y = (QUERIES, ITEMS) if metric == "inner_product" else (F.normalize(QUERIES), F.normalize(ITEMS))
    return x @ y.T


@pytest.mark.parametrize("metric", ["cosine", "inner_product", "l2"])
def test_flat_is_a_full_sort(metric: Metric) -> None:
    expected = scores(metric).sort(dim=1, descending=True)
    hits = FeatureIndex(D, metric=metric).add(ITEMS).search(QUERIES, 400)
    np.testing.assert_array_equal(hits.ids[:, :20], expected.indices[:, :20].numpy())
    np.testing.assert_allclose(hits.scores, expected.values.numpy(), atol=1e-4)


@pytest.mark.parametrize("factory", FACTORIES)
def test_as_raw_faiss(factory: str) -> None:
    raw = faiss.index_factory(D, factory, faiss.METRIC_INNER_PRODUCT)
    x, q = F.normalize(ITEMS).numpy(), F.normalize(QUERIES).numpy()
    raw.train(x)
    raw.add(x)
    distances, rows = raw.search(q, 5)
    hits = FeatureIndex(D, factory=factory).train(ITEMS).add(ITEMS).search(QUERIES, 5)
    np.testing.assert_array_equal(hits.ids, rows)
    np.testing.assert_allclose(hits.scores, distances, rtol=1e-6)


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "HNSW16", "IVF8,Flat,RFlat", "PCA16,HNSW16"])
def test_a_search_is_never_short(factory: str) -> None:
    """Looking at one of eight clusters, FAISS itself would answer with -1."""
    index = FeatureIndex(D, factory=factory).add(ITEMS)
    hits = index.search(QUERIES, 400)
    assert (np.sort(hits.ids, axis=1) == np.arange(400)).all()
    assert (np.diff(hits.scores, axis=1) <= 1e-6).all()
    short = index.search(QUERIES, 400, widen=False)
    if factory == "IVF8,Flat":
        assert (short.ids[:, -1] == -1).all()
        assert (short.scores[short.ids == -1] == -np.inf).all()
        assert (index.search(QUERIES, 5).ids == index.search(QUERIES, 5, widen=False).ids).all()


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_a_stream_of_items_with_ids_and_metadata(factory: str) -> None:
    ids = np.random.default_rng(0).permutation(10_000)[:400]
    index = FeatureIndex(D, factory=factory).train(ITEMS)
    for start in range(0, 400, 150):
        part = slice(start, start + 150)
        index.add(ITEMS[part], ids[part], [{"file": f"{i}.png"} for i in ids[part]])
    assert len(index) == 400
    whole = FeatureIndex(D, factory=factory).train(ITEMS).add(ITEMS)
    found = index.search(QUERIES, 3).ids
    np.testing.assert_array_equal(found, ids[whole.search(QUERIES, 3).ids])
    assert index.metadata[int(found[0, 0])] == {"file": f"{found[0, 0]}.png"}

    index.remove(found[:, 0][:4])
    assert len(index) == 400 - len(set(found[:4, 0].tolist()))
    assert int(found[0, 0]) not in index.metadata
    assert not np.isin(found[:4, 0], index.search(QUERIES, len(index)).ids).any()
    index.add(QUERIES[:1], [77_777])
    assert index.search(QUERIES[:1], 1).ids.item() == 77_777
    index.add(QUERIES[1:2])
    assert index.ids.max() == 77_778, "the next free id"


@pytest.mark.parametrize("factory", FACTORIES)
def test_what_is_saved_comes_back(factory: str, tmp_path: Path) -> None:
    index = FeatureIndex(D, factory=factory, metric="l2", extractor="ab12").add(ITEMS, metadata=list(range(400)))
    index.notes["model"] = "x"
    index.save(tmp_path / "index")
    again = FeatureIndex.load(tmp_path / "index", extractor="ab12")
    for one, two in zip(index.search(QUERIES, 7), again.search(QUERIES, 7), strict=True):
        np.testing.assert_array_equal(one, two)
    assert again.metadata == index.metadata
    assert again.notes == {"model": "x"}
    assert (again.dim, again.factory, again.metric, again.extractor) == (D, factory, "l2", "ab12")
    again.add(QUERIES).save(tmp_path / "index")
    assert len(FeatureIndex.load(tmp_path / "index")) == 430
    assert len(list((tmp_path / "index").iterdir())) == 2
    with pytest.raises(ValueError, match=r"another extractor \(ab12, not cd34\)"):
        FeatureIndex.load(tmp_path / "index", extractor="cd34")


def test_any_damage_is_found(tmp_path: Path) -> None:
    FeatureIndex(D).add(ITEMS[:40], metadata=["a"] * 40).save(tmp_path / "whole")
    moments = random.Random(0)
    for name in [path.name for path in (tmp_path / "whole").iterdir()]:
        content = (tmp_path / "whole" / name).read_bytes()
        for damage in range(110):
            shutil.rmtree(tmp_path / "copy", ignore_errors=True)
            shutil.copytree(tmp_path / "whole", tmp_path / "copy")
            changed = bytearray(content)
            if damage < 100:
                changed[moments.randrange(len(content) - 1)] ^= 1 << moments.randrange(8)
            else:
                del changed[moments.randrange(len(content) - 1) :]
            (tmp_path / "copy" / name).write_bytes(changed)
            with pytest.raises(IntegrityError):
                FeatureIndex.load(tmp_path / "copy", mmap=damage % 2 == 0)
        (tmp_path / "copy" / name).unlink()
        with pytest.raises((IntegrityError, FileNotFoundError)):
            FeatureIndex.load(tmp_path / "copy")


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "PCA8,IVF4,Flat", "IVF4,Flat,RFlat"])
def test_a_copy_is_apart(factory: str) -> None:
    index = FeatureIndex(D, factory=factory).add(ITEMS)
    other = copy.deepcopy(index)
    np.testing.assert_array_equal(other.search(QUERIES, 3).ids, index.search(QUERIES, 3).ids)
    other.add(QUERIES, metadata=["q"] * 30)
    assert (len(other), len(index), len(other.ids), len(index.metadata)) == (430, 400, 430, 0)


def test_what_else_lies_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.faiss").write_bytes(b"not ours")
    for _ in range(2):
        FeatureIndex(D).add(ITEMS[:5]).save(tmp_path)
    assert (tmp_path / "mine.faiss").read_bytes() == b"not ours"


def forge(folder: Path, content: bytes, **changes: Any) -> None:
    """A folder whose checksums are all right, around any content."""
    folder.mkdir()
    digest = hashlib.sha256(content).hexdigest()
    (folder / "x.faiss").write_bytes(content)
    described = {"format": 1, "file": "x.faiss", "sha256": digest, "dim": 4, "factory": "Flat", "metric": "l2"}
    described |= {"extractor": "", "items": 1, "notes": {}, "metadata": {}} | changes
    checksum = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    (folder / "index.json").write_text(json.dumps(described | {"checksum": checksum}))


HEADER = b"IxF2" + struct.pack("<iqqqBi", 4, 1, 1 << 20, 1 << 20, 1, 1)
HOSTILE: dict[str, tuple[bytes, dict[str, Any]]] = {
    "no index": (b"garbage", {}),
    "empty": (b"", {}),
    "pickle": (b"\x80\x04\x95\x00", {}),
    "2^40 values": (HEADER + struct.pack("<Q", 1 << 40), {}),
    "another class": (faiss.serialize_index(faiss.IndexFlatL2(4)).tobytes(), {"items": 0}),
    "another width": (faiss.serialize_index(faiss.IndexIDMap2(faiss.IndexFlatL2(5))).tobytes(), {"items": 0}),
    "another size": (faiss.serialize_index(faiss.IndexIDMap2(faiss.IndexFlatL2(4))).tobytes(), {"items": 9}),
    "path outside": (b"", {"file": "../../etc/passwd"}),
    "metric": (b"", {"metric": "hamming"}),
    "factory": (b"", {"factory": "__import__('os')"}),
    "width": (b"", {"dim": 0}),
    "format": (b"", {"format": 2}),
}


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file(name: str, mmap: bool, tmp_path: Path) -> None:
    content, changes = HOSTILE[name]
    forge(tmp_path / "index", content, **changes)
    before = faiss.get_deserialization_vector_byte_limit()
    with pytest.raises(IntegrityError):
        FeatureIndex.load(tmp_path / "index", mmap=mmap)
    assert faiss.get_deserialization_vector_byte_limit() == before


def small() -> FeatureIndex:
    return FeatureIndex(D).add(ITEMS[:9])


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "k 0": (lambda: small().search(QUERIES, 0), ValueError, r"k must be in 1\.\.9, the size of the index, got 0"),
    "k 10": (lambda: small().search(QUERIES, 10), ValueError, r"k must be in 1\.\.9"),
    "k 2.5": (lambda: small().search(QUERIES, 2.5), ValueError, "k must be"),  # type: ignore[arg-type]
    "empty gallery": (lambda: FeatureIndex(D).search(QUERIES, 1), ValueError, r"k must be in 1\.\.0"),
    "width": (lambda: small().search(QUERIES[:, :5], 1), ValueError, "features have width 5, the index has width 16"),
    "one query": (lambda: small().search(QUERIES[0], 1), ValueError, r"features must be floats \(n, 16\)"),
    "ints": (lambda: small().add(ITEMS.long()), ValueError, "features must be floats"),
    "NaN": (lambda: small().add(ITEMS * torch.nan), ValueError, "features contain NaN"),
    "infinite": (lambda: small().search(QUERIES / 0, 1), ValueError, "features contain NaN or infinite"),
    "too large": (lambda: small().add(ITEMS.double() * 1e300), ValueError, "features contain NaN or infinite"),
    "ids repeat": (lambda: small().add(ITEMS[:2], [50, 50]), ValueError, "ids must be different .* 50 repeats"),
    "ids are there": (lambda: small().add(ITEMS[:2], [50, 3]), ValueError, "ids must be different .* 3 repeats"),
    "ids negative": (lambda: small().add(ITEMS[:1], [-1]), ValueError, "ids must not be negative"),
    "ids floats": (lambda: small().add(ITEMS[:1], [0.5]), ValueError, "ids must be integers"),  # type: ignore[list-item]
    "too few ids": (lambda: small().add(ITEMS[:3], [50]), ValueError, "3 features but 1 ids"),
    "too little metadata": (lambda: small().add(ITEMS[:3], metadata=[1]), ValueError, "3 features but 1 entries"),
    "remove unknown": (lambda: small().remove([3, 99]), KeyError, "no id 99"),
    "remove from a graph": (
        lambda: FeatureIndex(D, factory="HNSW8").add(ITEMS).remove([1]),
        ValueError,
        "cannot remove",
    ),
    "factory": (lambda: FeatureIndex(D, factory="Flatt"), ValueError, "factory 'Flatt'"),
    "PQ of another width": (lambda: FeatureIndex(D, factory="PQ5"), ValueError, "factory 'PQ5' for width 16"),
    "too few to train": (
        lambda: FeatureIndex(D, factory="IVF64,Flat").add(ITEMS[:9]),
        ValueError,
        "9 features are too few",
    ),
    "map of ids": (lambda: FeatureIndex(D, factory="IDMap,Flat"), ValueError, "leave it out"),
    "remove from refined": (
        lambda: FeatureIndex(D, factory="IVF4,Flat,RFlat").add(ITEMS).remove([1]),
        ValueError,
        "cannot remove",
    ),
    "metric": (lambda: FeatureIndex(D, metric="l1"), ValueError, "metric must be one of"),  # type: ignore[arg-type]
    "dim": (lambda: FeatureIndex(0), ValueError, "dim must be at least 1"),
    "no folder": (lambda: FeatureIndex.load("nowhere"), FileNotFoundError, "'nowhere' holds no index"),
}


@pytest.mark.parametrize("name", BAD)
def test_nonsense_is_named_and_changes_nothing(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_a_refused_call_leaves_the_index_as_it_was() -> None:
    index = small()
    for ids in ([50, 50], [3, 60], [-1, 4]):
        with pytest.raises(ValueError, match="ids"):
            index.add(ITEMS[:2], ids, ["a", "b"])
    assert len(index) == 9
    assert index.metadata == {}
