"""Indexes that stay in their file: they find the same, cannot be changed, and open nothing else."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from robustfeat.index import FeatureIndex, contents
from robustfeat.runtime.errors import IntegrityError

D = 16
NUMBERS = np.random.default_rng(0)
ITEMS = NUMBERS.standard_normal((600, D), dtype=np.float32)
QUERIES = NUMBERS.standard_normal((20, D), dtype=np.float32)
IDS = NUMBERS.permutation(10_000)[:600]
FACTORIES = (
    "Flat",
    "SQ8",
    "PQ8x4",
    "PCA8,Flat",
    "IVF8,Flat",
    "IVF8,PQ8x4",
    "PCA8,IVF8,Flat",
    "IVF8,PQ8x4fs",
    "HNSW8",
    "IVF4,Flat,RFlat",
    "IVF4_HNSW8,Flat",
    "PQ8x4fs",
    "PCA8,HNSW8",
)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("factory", FACTORIES)
def test_an_index_in_its_file_finds_the_same(factory: str, tmp_path: Path) -> None:
    index = FeatureIndex(D, factory=factory).add(ITEMS, IDS, IDS.tolist())
    index.save(tmp_path / "index")
    mapped = FeatureIndex.load(tmp_path / "index", mmap=True)
    for one, two in zip(index.search(QUERIES, 7), mapped.search(QUERIES, 7), strict=True):
        np.testing.assert_array_equal(one, two)
    assert sorted(mapped.ids.tolist()) == sorted(IDS.tolist())
    assert mapped.metadata == index.metadata
    assert (mapped.read_only, index.read_only) == (True, False)
    shutil.copytree(mapped.save(tmp_path / "index"), tmp_path / "copy")
    mapped.save(tmp_path / "again")
    assert names(tmp_path / "again") == names(tmp_path / "copy"), "the file is named by its content"


@pytest.mark.parametrize("factory", ["Flat", "SQ8", "IVF8,Flat", "PCA8,IVF8,Flat"])
def test_the_items_stay_in_the_file(factory: str, tmp_path: Path) -> None:
    """FAISS owns the memory of what it has read, and does not own what it has mapped."""
    FeatureIndex(D, factory=factory).add(ITEMS).save(tmp_path)
    for mmap in (True, False):
        index = FeatureIndex.load(tmp_path, mmap=mmap)
        inner = contents.levels(index.raw)[-1]
        if isinstance(inner, faiss.IndexIVF):
            lists = faiss.downcast_InvertedLists(inner.invlists)
            owned = {lists.codes.at(i).is_owned for i in range(lists.nlist) if lists.list_size(i)}
        else:
            owned = {inner.codes.is_owned}
        assert owned == {not mmap}


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "IVF8,Flat"])
def test_read_only(factory: str, tmp_path: Path) -> None:
    """FAISS itself would end the process."""
    FeatureIndex(D, factory=factory).add(ITEMS).save(tmp_path)
    mapped = FeatureIndex.load(tmp_path, mmap=True)
    for index in (mapped, copy.deepcopy(mapped)):
        changes: tuple[Callable[[], Any], ...] = (
            lambda index=index: index.add(ITEMS[:1]),
            lambda index=index: index.remove([1]),
            lambda index=index: index.train(ITEMS),
        )
        for change in changes:
            with pytest.raises(RuntimeError, match="loaded with mmap=True and is read only; load it without"):
                change()
        assert len(index.search(QUERIES, 600).ids[0]) == 600
    assert len(FeatureIndex.load(tmp_path).add(ITEMS[:1])) == 601


@pytest.mark.parametrize("mmap", [False, True])
def test_tables_larger_than_the_file(mmap: bool, tmp_path: Path) -> None:
    """FAISS derives them from what is learned: where there are no items yet, and again when the first are searched."""
    trained = FeatureIndex(D, factory="IVF100,PQ8x4", metric="l2").train(ITEMS)
    assert trained.raw.precomputed_table.size() == 100 * 8 * 16
    assert len(FeatureIndex.load(trained.save(tmp_path / "empty"), mmap=mmap)) == 0
    filled = trained.add(ITEMS)
    loaded = FeatureIndex.load(filled.save(tmp_path / "filled"), mmap=mmap)
    assert loaded.raw.precomputed_table.size() == 0
    np.testing.assert_array_equal(loaded.search(QUERIES, 5).scores, filled.search(QUERIES, 5).scores)
    assert loaded.raw.precomputed_table.size() == 100 * 8 * 16


@pytest.mark.parametrize("mmap", [False, True])
def test_lists_in_another_file_are_not_opened(mmap: bool, tmp_path: Path) -> None:
    """A FAISS file can name any path as the place of its lists; here the lists are there, and right."""
    index = FeatureIndex(D, factory="IVF8,Flat").add(ITEMS)
    folder = index.save(tmp_path / "index")
    for place in (tmp_path / "elsewhere", folder / "inside"):
        lists = faiss.OnDiskInvertedLists(8, index.raw.code_size, str(place))
        sources = faiss.InvertedListsPtrVector()
        sources.push_back(index.raw.invlists)
        lists.merge_from_multiple(sources.data(), 1)
        hostile = faiss.clone_index(index.raw)
        hostile.replace_invlists(lists, False)
        content = faiss.serialize_index(hostile)
        assert faiss.deserialize_index(content).ntotal == 600, "FAISS itself opens them"

        described = json.loads((folder / "index.json").read_text())
        del described["checksum"]
        content.tofile(folder / described["file"])
        described["sha256"] = hashlib.sha256(content.tobytes()).hexdigest()
        checksum = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
        (folder / "index.json").write_text(json.dumps(described | {"checksum": checksum}))
        with pytest.raises(IntegrityError, match="only supported when reading from file"):
            FeatureIndex.load(folder, mmap=mmap)
