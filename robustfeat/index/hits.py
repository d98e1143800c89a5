"""The hits of a search, and their scores."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import numpy as np

Metric = Literal["cosine", "inner_product", "l2"]
METRICS = ("cosine", "inner_product", "l2")


class Hits(NamedTuple):
    """The hits of a search, best first.

    Args:
        ids: (n, k) int64.
        scores: (n, k) float32, larger is nearer: cosines, inner products, or minus Euclidean distances.
    """

    ids: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, ids: np.ndarray, metric: Metric) -> Self:
        """Convert FAISS's result, in place: FAISS squares distances, and gives id -1 for items that it did not find."""
        if metric == "l2":
            scores = -np.sqrt(np.maximum(scores, 0))
        scores[ids < 0] = -np.inf
        if (
            scores[:, 1:] > scores[:, :-1]
        ).any():  # of some kinds, whose finds are ranked by other scores than they tell
            order = np.argsort(-scores, axis=1, kind="stable")
            ids, scores = (np.take_along_axis(values, order, axis=1) for values in (ids, scores))
        return cls(ids, scores)
