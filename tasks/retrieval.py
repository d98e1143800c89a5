"""Retrieval by cosine similarity, with search in FAISS and differentiable losses in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from robustfeat.index import FeatureIndex
from robustfeat.numerics.scale import unit
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks import TASKS
from robustfeat.tasks.aim import Aim
from robustfeat.tasks.base import Task
from robustfeat.tasks.metrics.retrieval import average_precision, map_at_r, ndcg, recall_at

RECALL_AT = (1, 5, 10)
DEEP = 10_000  # items up to which the whole ranking is measured unasked
CHUNK = 1_000_000  # ranks at a time


@TASKS.register("retrieval")
class Retrieval(Task):
    """Retrieval with training features as the gallery and test features as queries; an item of the same class is relevant.

    Search runs in a FAISS index over normalised features, as in deployment; items that an approximate index misses count as not
    found. The losses use exact cosines in torch. Metrics are recall@1, @5, @10, MAP@R (Musgrave et al. 2020), and MAP and nDCG
    over the whole ranking. Queries whose class is not in the gallery are left out.

    Args:
        index: a FAISS factory string ("Flat", "IVF64,Flat", "HNSW32", "PQ64", ...).
        attacked: the metrics that attacks aim at, each by its own loss, of "recall@1", "recall@5", "recall@10", "map@r".
        deep: whether the whole gallery is ranked for every query, for MAP and nDCG; None does so up to 10,000 items.
    """

    gallery: Tensor | None
    labels: Tensor | None

    def __init__(
        self, index: str = "Flat", attacked: Sequence[str] = ("recall@1", "map@r"), deep: bool | None = None
    ) -> None:
        super().__init__()
        self.index, self.deep = index, deep
        self.attacked = tuple(attacked)
        if unknown := [name for name in self.attacked if name not in self._aims()]:
            raise ValueError(f"retrieval has no loss for {unknown}; attacked must be of {list(self._aims())}")
        self.register_buffer("gallery", None)
        self.register_buffer("labels", None)
        self.largest = 0  # how many items the largest class of the gallery has
        self.index_: FeatureIndex | None = None

    @property
    def argument(self) -> str:
        return "" if self._exact else self.index

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(index=argument)

    def _fit(self, features: Features, targets: Tensor) -> None:
        self.gallery, self.labels = unit(features.detach().float()), targets.clone()
        self._restore()

    def _restore(self) -> None:
        assert self.gallery is not None
        assert self.labels is not None
        self.largest = int(self.labels.bincount().max())
        self.index_ = FeatureIndex(self.gallery.shape[1], factory=self.index).add(self.gallery)

    def search(self, features: Features, k: int) -> tuple[Tensor, Tensor]:
        """Search the gallery for the best items of each query.

        Args:
            features: (n, d), the queries.
            k: the number of items per query, from 1 to the gallery size.

        Returns:
            The gallery rows and their cosines, best first, (n, k) each, on the CPU. Row -1 with cosine -inf stands for an item
            that an approximate index does not find.

        Raises:
            ValueError: for k outside 1..gallery size.
        """
        return self._search(self._seen(features), k)

    def _search(self, features: Features, k: int) -> tuple[Tensor, Tensor]:
        assert self.index_ is not None
        hits = self.index_.search(features, k, widen=False)
        return torch.from_numpy(hits.ids), torch.from_numpy(hits.scores)

    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        assert self.labels is not None
        labels, targets = self.labels.cpu(), targets.cpu()
        counts = torch.bincount(labels, minlength=int(targets.max()) + 1 if len(targets) else 0)
        deep = len(labels) <= DEEP if self.deep is None else self.deep
        few = min(max(RECALL_AT), len(labels))
        depth = len(labels) if deep else max(few, int(counts.max()))
        step = max(1, CHUNK // depth)  # queries at a time: their rankings are long
        parts = []
        for some in (slice(start, start + step) for start in range(0, len(targets), step)):
            right, relevant = targets[some, None], counts[targets[some]]
            ranked = self._hits(features[some], right, depth)
            # An approximate index looks the further the more it is asked for: users of recall ask for a few.
            first = ranked if self._exact else self._hits(features[some], right, few)
            found = {f"recall@{k}": recall_at(first, relevant, k) for k in RECALL_AT if k <= len(labels)}
            found["map@r"] = map_at_r(ranked, relevant)
            if deep:
                found |= {"map": average_precision(ranked, relevant), "ndcg": ndcg(ranked, relevant)}
            parts.append(found)
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _hits(self, features: Features, targets: Tensor, k: int) -> Tensor:
        """Return which of the first k ranks are relevant, bool (n, k), for targets (n, 1)."""
        assert self.labels is not None
        rows, _ = self._search(features, k)
        return (self.labels.cpu()[rows] == targets) & (rows >= 0)

    @property
    def _exact(self) -> bool:
        return self.index == "Flat"

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        if bool(judged["map@r"].isnan().all()):
            raise ValueError("no query has its class in the gallery; there is nothing to retrieve")
        return {name: float(values.double().nanmean()) for name, values in judged.items()}

    def aims(self) -> dict[str, Aim]:
        return {name: self._aims()[name] for name in self.attacked}

    def _aims(self) -> dict[str, Aim]:
        def recall(k: int) -> Aim:
            # An approximate index can still find what the exact twin has lost: there the attack goes on.
            margin = {"margin": lambda cosines, targets: self._margin(cosines, targets, k)}
            return Aim(self, margin, wins=self._exact)

        precision = Aim(self, {"precision": self._precision}, wins=False)
        return {f"recall@{k}": recall(k) for k in RECALL_AT} | {"map@r": precision}

    def _evidence(self, features: Features) -> Tensor:
        """Return the cosines to all items of the gallery, (n, gallery)."""
        assert self.gallery is not None
        return unit(features.to(self.gallery.dtype)) @ self.gallery.T

    def _loss(self, evidence: Tensor, targets: Tensor) -> PerExample:
        return self._margin(evidence, targets, 1)

    def _margin(self, cosines: Tensor, targets: Tensor, k: int) -> PerExample:
        """Return the cosine to the k-th best irrelevant item minus that to the best relevant one.

        It is > 0 exactly if recall@k fails.
        """
        relevant, irrelevant, _ = self._sides(cosines, targets)
        return irrelevant.topk(min(k, irrelevant.shape[1]), dim=1).values[:, -1] - relevant.amax(dim=1)

    def _precision(self, cosines: Tensor, targets: Tensor) -> PerExample:
        """Return the mean cosine to the R/2 best irrelevant items minus that to the better half of the R relevant ones.

        A rise of this loss lowers MAP@R.
        """
        relevant, irrelevant, found = self._sides(cosines, targets)
        half = (found + 1) // 2
        deepest = (self.largest + 1) // 2
        gap = irrelevant.topk(deepest, dim=1).values - relevant.topk(deepest, dim=1).values
        counted = torch.arange(deepest, device=gap.device) < half[:, None]
        return gap.masked_fill(~counted, 0).sum(dim=1) / half.clamp_min(1)

    def _sides(self, cosines: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cosines to relevant and to irrelevant items, (n, gallery) each with -1 for other items, and R, (n,)."""
        assert self.labels is not None
        same = self.labels == targets[:, None]
        return cosines.masked_fill(~same, -1), cosines.masked_fill(same, -1), same.sum(dim=1)
