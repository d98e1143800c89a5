"""Nearest neighbours among features, with the user's own ids and metadata: any FAISS index behind checks."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from robustfeat.index import contents, promise, stored
from robustfeat.index.everywhere import search_everywhere
from robustfeat.index.faiss import import_faiss, reason
from robustfeat.index.gpu import Searcher
from robustfeat.index.hits import METRICS, Hits, Metric
from robustfeat.index.ids import Ids
from robustfeat.index.join import learned
from robustfeat.index.metadata import by_id
from robustfeat.index.options import checked
from robustfeat.index.origin import Digests, check_origin
from robustfeat.index.rows import Rows, as_ids, as_rows


class FeatureIndex:
    """Nearest neighbours among features (n, dim), found by FAISS. Searches may run in several threads, each with its options.

    Args:
        dim: width of the features. A factory string that FAISS does not support or that does not fit it raises ValueError.
        factory: a FAISS factory string: "Flat" (exact), "IVF256,Flat", "HNSW32", "PQ16", "IVF256,PQ16", ...
        metric: "cosine" (features are normalised here), "inner_product" or "l2".
        extractor: digest of the extractor the features come from (`FeatureExtractor.digest`); "" if it does not matter.

    Attributes:
        metadata: a JSON value per id.
        notes: any other JSON values that are to be kept.
        only_searched: why the extractor that it was loaded for may only search it; "" if it may be changed.
    """

    def __init__(self, dim: int, *, factory: str = "Flat", metric: Metric = "cosine", extractor: str = "") -> None:
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim!r}")
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}, got {metric!r}")
        self.dim, self.factory, self.metric, self.extractor = dim, factory, metric, extractor
        self.metadata: dict[int, Any] = {}
        self.notes: dict[str, Any] = {}
        self._next, self.only_searched = 0, ""  # no id from _next on was ever given
        self._take(promise.make(dim, factory, metric))

    def _take(self, index: Any, *, read_only: bool = False) -> None:
        """Take over an index. A clustered one keeps its own ids: FAISS's map of ids would lose track when items are removed."""
        named = contents.clusters(index) is not None or isinstance(index, self._faiss.IndexIDMap2)
        self._index = index if named else self._faiss.IndexIDMap2(index)
        self._read_only = read_only
        self._known: Ids | None = None
        self._searcher: Searcher | None = None

    @property
    def _faiss(self) -> Any:
        return import_faiss()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = copy.copy(self)
        made.metadata, made.notes = copy.deepcopy((self.metadata, self.notes), memo)
        if not self._read_only:  # what nobody can change is shared
            made._take(self._faiss.deserialize_index(self._faiss.serialize_index(self._index)))
        return made

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def __repr__(self) -> str:
        return f"FeatureIndex({self.factory}, {len(self)} items, width {self.dim}, {self.metric})"

    @property
    def ids(self) -> np.ndarray:
        """The ids in the index, in no particular order."""
        return contents.ids(self._index)

    @property
    def trained(self) -> bool:
        """Whether items can be added: clustered and compressed indexes must be trained on features first."""
        return bool(self._index.is_trained)

    @property
    def raw(self) -> Any:
        """FAISS's own index, for inspection only: the ids kept here and the copies on GPUs do not follow changes made to it."""
        return self._index

    @property
    def read_only(self) -> bool:
        """Whether the index lies in a file (`load` with mmap) and cannot be changed."""
        return self._read_only

    def _change(self) -> Ids:
        """Prepare a change; return the ids, to be changed as well. FAISS itself ends the process if it cannot change an index."""
        if self.only_searched:
            raise RuntimeError(self.only_searched)
        if self._read_only:
            raise RuntimeError("the index was loaded with mmap=True and is read only; load it without, to change it")
        if self._known is None:
            self._known = Ids(self.ids, self._next)
        self._searcher = None
        return self._known

    def train(self, features: Rows) -> Self:
        """Learn clusters and codes from features (m, dim); "Flat" and "HNSW" need no training."""
        self._change()
        return self._train(self._checked(features))

    def _train(self, x: np.ndarray) -> Self:
        if not self.trained:
            try:
                self._index.train(x)
            except RuntimeError as error:
                raise ValueError(f"{len(x)} features are too few to train {self.factory!r}: {reason(error)}") from error
        return self

    def add(
        self, features: Rows, ids: Sequence[int] | Rows | None = None, metadata: Sequence[Any] | None = None
    ) -> Self:
        """Add features (m, dim) under ids, by default the next that were never used; metadata is one JSON value per item.

        Call it repeatedly for a stream; the first features train an index that needs it. Raises RuntimeError if it is read only.
        """
        known = self._change()
        x = self._checked(features)
        keys = known.free(len(x)) if ids is None else as_ids(ids)
        if len(keys) != len(x):
            raise ValueError(f"{len(x)} features but {len(keys)} ids")
        if ids is not None:
            known.check_new(keys)
        described = by_id(keys.tolist(), metadata)
        self._train(x)
        if len(x):
            self._index.add_with_ids(x, keys)
            known.add(keys)
            self._next = known.next
        self.metadata |= described
        return self

    def remove(self, ids: Sequence[int] | Rows) -> Self:
        """Remove items. Their ids are used again only if they are given to `add`.

        Raises KeyError for an id that is not there, ValueError if its kind cannot remove items, RuntimeError if it is read only.
        """
        known = self._change()
        keys = as_ids(ids)
        if (missing := keys[~known.holds(keys)]).size:
            raise KeyError(f"the index has no id {int(missing[0])}")
        try:
            self._index.remove_ids(keys)
        except RuntimeError as error:
            raise ValueError(f"an index {self.factory!r} cannot remove items; build it again without them") from error
        known.remove(keys)
        for key in keys.tolist():
            self.metadata.pop(key, None)
        return self

    def search(
        self, features: Rows, k: int, *, widen: bool = True, nprobe: int | None = None, ef_search: int | None = None
    ) -> Hits:
        """Return the k nearest items of each of features (n, dim), found by a copy on the GPUs if FAISS has any (`index/gpu.py`).

        Args:
            features: the queries (n, dim).
            k: number of items, in 1..len(index).
            widen: if a clustered index finds fewer than k in the clusters it visits, visit more, not as it is deployed. Without
                it items that were not found have id -1 and score -inf.
            nprobe: clusters that this search visits, of "IVF..."; None takes the index's own number.
            ef_search: candidates that this search keeps in the graph of "HNSW..."; None takes the index's own number.

        Raises:
            ValueError: k is out of range, or nprobe or ef_search is below 1 or the index does not have it.
        """
        x = self._checked(features)
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= len(self):
            raise ValueError(f"k must be in 1..{len(self)}, the size of the index, got {k!r}")
        wanted = checked(self._index, self.factory, nprobe=nprobe, ef_search=ef_search)
        if self._searcher is None:
            contents.complete(self._index)
            self._searcher = Searcher(self._index, gpus=not self._read_only)
        scores, ids = self._searcher(x, int(k), wanted)
        if widen and (ids < 0).any():
            short = (ids < 0).any(axis=1)
            scores[short], ids[short] = search_everywhere(self._index, x[short], int(k))
        return Hits.of(scores, ids, self.metric)

    def shard(self) -> Self:
        """Return an empty index that has learned what this one has: one of several parts that `merge` joins.

        It is best made from an index that is trained and still empty. Raises ValueError if this kind of index cannot be merged.
        """
        made = copy.copy(self)
        made.metadata, made.notes, made._next = {}, copy.deepcopy(self.notes), 0
        made._take(self._faiss.deserialize_index(np.frombuffer(learned(self._index, self.factory), dtype=np.uint8)))
        return made

    def facts(self) -> dict[str, Any]:
        """Return the content of the sidecar of a saved index."""
        return {
            "dim": self.dim,
            "factory": self.factory,
            "metric": self.metric,
            "extractor": self.extractor,
            "items": len(self),
            "next": self._next,
            "notes": self.notes,
            "metadata": {str(key): value for key, value in self.metadata.items()},
        }

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write index and sidecar; if the process is killed half-way, the folder holds what it held before."""
        stored.write(Path(folder), lambda path: self._faiss.write_index(self._index, str(path)), self.facts())
        return Path(folder)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, extractor: Digests | None = None, mmap: bool = False) -> Self:
        """Return an index that `save` or `merge` wrote. The sha256 of the whole file is checked first.

        Args:
            folder: the folder that was written.
            extractor: digest of the extractor that the index must have been built with, or all its `digests()`: the index of a
                model that it is compatible with can then be searched, and not changed. None accepts any.
            mmap: keep the items in the file, read only; `index/stored.py` states what is kept in memory.

        Raises:
            FileNotFoundError: there is no index.
            IntegrityError: the files are not what was written.
            ValueError: the extractor is another one.
        """
        facts, place = stored.read_facts(Path(folder)), Path(folder) / stored.SIDECAR
        try:
            made = cls(facts["dim"], factory=facts["factory"], metric=facts["metric"], extractor=facts["extractor"])
            made.notes = dict(facts["notes"])
            made._next = int(facts.get("next", 0))  # older ones do not say
            made.metadata = {int(key): value for key, value in facts["metadata"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise stored.damaged(place, error) from error
        made.only_searched = check_origin(os.fspath(folder), made.extractor, extractor)
        index = stored.read_index(Path(folder), facts, mmap=mmap)
        if index.ntotal != facts.get("items") or not promise.alike(index, made._index):
            raise stored.damaged(place, ValueError("it is not the one that describes this index"))
        made._take(index, read_only=mmap)
        return made

    def _checked(self, features: Rows) -> np.ndarray:
        return as_rows(features, self.dim, unit=self.metric == "cosine")
