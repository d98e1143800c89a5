"""Nearest neighbours among features, with ids and metadata of one's own: any FAISS index behind checks."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from robustfeat.errors import IntegrityError
from robustfeat.index import stored
from robustfeat.index.faiss import import_faiss, reason

Metric = Literal["cosine", "inner_product", "l2"]
METRICS = ("cosine", "inner_product", "l2")
Rows = Tensor | np.ndarray


class Hits(NamedTuple):
    """What a search found, best first: ids (n, k) int64 and scores (n, k) float32, larger is nearer.

    Scores are cosines, inner products, or minus Euclidean distances.
    """

    ids: np.ndarray
    scores: np.ndarray


class FeatureIndex:
    """Nearest neighbours among features (n, dim), found by FAISS.

    Args:
        dim: width of the features.
        factory: a FAISS factory string: "Flat" (exact), "IVF256,Flat", "HNSW32", "PQ16", "IVF256,PQ16", ...
        metric: "cosine" (features are normalised here), "inner_product" or "l2".
        extractor: digest of the extractor the features come from (`FeatureExtractor.digest`); "" where it is of no matter.

    metadata: a JSON value per id.  notes: whatever else is to be kept, JSON as well.

    Raises ValueError for a factory string that FAISS does not know or that does not fit the width.
    """

    def __init__(self, dim: int, *, factory: str = "Flat", metric: Metric = "cosine", extractor: str = "") -> None:
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim!r}")
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}, got {metric!r}")
        self.dim, self.factory, self.metric, self.extractor = dim, factory, metric, extractor
        self.metadata: dict[int, Any] = {}
        self.notes: dict[str, Any] = {}
        if "IDMap" in factory:
            raise ValueError(f"factory {factory!r} has a map of ids; leave it out, the index has ids of its own")
        kind = self._faiss.METRIC_L2 if metric == "l2" else self._faiss.METRIC_INNER_PRODUCT
        try:
            self._take(self._faiss.index_factory(dim, factory, kind))
        except RuntimeError as error:
            raise ValueError(f"FAISS can not make factory {factory!r} for width {dim}: {reason(error)}") from error

    def _take(self, index: Any) -> None:
        """A clustered index knows ids by itself, and must: FAISS's map of ids would lose track of them when items are removed."""
        kinds = (self._faiss.IndexIVF, self._faiss.IndexPreTransform)
        self._clusters = self._faiss.try_extract_index_ivf(index) if isinstance(index, kinds) else None
        named = self._clusters is not None or isinstance(index, self._faiss.IndexIDMap2)
        self._index = index if named else self._faiss.IndexIDMap2(index)

    @property
    def _faiss(self) -> Any:
        return import_faiss()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = copy.copy(self)
        made.metadata, made.notes = copy.deepcopy((self.metadata, self.notes), memo)
        made._take(self._faiss.deserialize_index(self._faiss.serialize_index(self._index)))
        return made

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def ids(self) -> np.ndarray:
        """The ids in the index, in no particular order."""
        if self._clusters is None:
            return self._faiss.vector_to_array(self._index.id_map)
        lists = self._clusters.invlists
        parts = [
            self._faiss.rev_swig_ptr(lists.get_ids(i), size).copy()
            for i in range(lists.nlist)
            if (size := lists.list_size(i))
        ]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    @property
    def trained(self) -> bool:
        """Whether items can be added: clustered and compressed indexes must learn from features first."""
        return bool(self._index.is_trained)

    def train(self, features: Rows) -> Self:
        """Learn clusters and codes from features (m, dim); nothing to do for "Flat" and "HNSW"."""
        x = self._checked(features)
        if not self.trained:
            try:
                self._index.train(x)
            except RuntimeError as error:
                raise ValueError(f"{len(x)} features are too few to train {self.factory!r}: {reason(error)}") from error
        return self

    def add(
        self, features: Rows, ids: Sequence[int] | Rows | None = None, metadata: Sequence[Any] | None = None
    ) -> Self:
        """Add features (m, dim) under ids, by default the next free ones; metadata is one JSON value per item.

        Can be called again and again: an index is built from a stream. The first features train an index that needs it.
        """
        x = self._checked(features)
        start = int(self.ids.max()) + 1 if len(self) else 0
        keys = np.arange(start, start + len(x)) if ids is None else _ids(ids)
        if len(keys) != len(x):
            raise ValueError(f"{len(x)} features but {len(keys)} ids")
        if metadata is not None and len(metadata) != len(x):
            raise ValueError(f"{len(x)} features but {len(metadata)} entries of metadata")
        if (keys < 0).any():
            raise ValueError(f"ids must not be negative, got {int(keys.min())}")
        values, counts = np.unique(np.concatenate([keys, self.ids[np.isin(self.ids, keys)]]), return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                f"ids must be different from each other and from those in the index, {int(values[counts > 1][0])} repeats"
            )
        if not self.trained:
            self.train(features)
        if len(x):
            self._index.add_with_ids(x, keys)
        if metadata is not None:
            self.metadata |= dict(zip(keys.tolist(), metadata, strict=True))
        return self

    def remove(self, ids: Sequence[int] | Rows) -> Self:
        """Take items out. Raises KeyError for ids that are not there, ValueError where the kind of index can not forget."""
        keys = _ids(ids)
        if (missing := keys[~np.isin(keys, self.ids)]).size:
            raise KeyError(f"the index has no id {int(missing[0])}")
        try:
            self._index.remove_ids(keys)
        except RuntimeError as error:
            raise ValueError(f"an index {self.factory!r} can not remove items; build it again without them") from error
        for key in keys.tolist():
            self.metadata.pop(key, None)
        return self

    def search(self, features: Rows, k: int, *, widen: bool = True) -> Hits:
        """The k nearest items of each of features (n, dim).

        widen: where a clustered index finds fewer than k in the clusters it looks at, look at more. Without it the result is
            what the index gives as it is deployed, with id -1 and score -inf for what it did not find.

        Raises ValueError for k outside 1..len(index).
        """
        x = self._checked(features)
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= len(self):
            raise ValueError(f"k must be in 1..{len(self)}, the size of the index, got {k!r}")
        scores, ids = self._index.search(x, int(k))
        if widen and (ids < 0).any():
            short = (ids < 0).any(axis=1)
            scores[short], ids[short] = self._wider(x[short], int(k))
        if self.metric == "l2":
            scores = -np.sqrt(np.maximum(scores, 0))
        return Hits(ids, np.where(ids < 0, -np.inf, scores).astype(np.float32))

    def _wider(self, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and ids, looking at all clusters, or along the whole graph."""
        inner = self._clusters or self._faiss.downcast_index(self._index.index)
        owner, name, most = inner, "nprobe", getattr(inner, "nlist", 0)
        if hasattr(inner, "hnsw"):
            owner, name, most = inner.hnsw, "efSearch", len(self)
        before = getattr(owner, name, None)
        if before is not None:
            setattr(owner, name, most)
            try:
                scores, ids = self._index.search(x, k)
            finally:
                setattr(owner, name, before)
        if before is None or (ids < 0).any():
            raise RuntimeError(f"the index {self.factory!r} found fewer than {k} items; ask for fewer")
        return scores, ids

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write index and sidecar; killed half-way, the folder holds what it held before."""
        facts = {
            "dim": self.dim,
            "factory": self.factory,
            "metric": self.metric,
            "extractor": self.extractor,
            "items": len(self),
            "notes": self.notes,
            "metadata": {str(key): value for key, value in self.metadata.items()},
        }
        stored.write(Path(folder), self._index, facts)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, extractor: str | None = None) -> Self:
        """An index that `save` wrote. extractor: the digest it must have been built with; ValueError otherwise.

        Raises FileNotFoundError where there is none, IntegrityError where the files are not what was written.
        """
        facts = stored.read_facts(Path(folder))
        try:
            made = cls(facts["dim"], factory=facts["factory"], metric=facts["metric"], extractor=facts["extractor"])
            made.notes = dict(facts["notes"])
            made.metadata = {int(key): value for key, value in facts["metadata"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise stored.damaged(Path(folder) / stored.SIDECAR, error) from error
        if extractor is not None and extractor != made.extractor:
            raise ValueError(
                f"the index {os.fspath(folder)!r} was built with another extractor ({made.extractor[:12] or 'unknown'}, "
                f"not {extractor[:12]}); their features have nothing in common: build it again"
            )
        index = stored.read_index(Path(folder), facts)
        if type(index) is not type(made._index) or index.d != made.dim or index.ntotal != facts.get("items"):
            raise IntegrityError(f"the index in {os.fspath(folder)!r} is not the one that {stored.SIDECAR} describes")
        made._take(index)
        return made

    def _checked(self, features: Rows) -> np.ndarray:
        """What FAISS takes: contiguous float32, finite, of the right width; of length 1 for cosines."""
        x = features.detach().cpu().numpy() if isinstance(features, Tensor) else np.asarray(features)
        if x.ndim != 2 or not np.issubdtype(x.dtype, np.floating):
            raise ValueError(f"features must be floats (n, {self.dim}), got {x.dtype} of shape {x.shape}")
        if x.shape[1] != self.dim:
            raise ValueError(f"features have width {x.shape[1]}, the index has width {self.dim}")
        if not np.isfinite(x).all():
            raise ValueError("features contain NaN or infinite values")
        if self.metric == "cosine":
            return torch.nn.functional.normalize(torch.from_numpy(np.ascontiguousarray(x)).float(), dim=1).numpy()
        return np.ascontiguousarray(x, dtype=np.float32)


def _ids(ids: Sequence[int] | Rows) -> np.ndarray:
    keys = ids.detach().cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    if keys.ndim != 1 or (len(keys) and not np.issubdtype(keys.dtype, np.integer)):
        raise ValueError(f"ids must be integers (n,), got {keys.dtype} of shape {keys.shape}")
    return np.ascontiguousarray(keys, dtype=np.int64)
