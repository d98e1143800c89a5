"""A memory bank with one embedding per training sample, from which a contrastive objective draws more negatives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustfeat.numerics.types import Features, Labels

QUERIES_AT_ONCE = 64


class MemoryBank(nn.Module):
    """M unit vectors of width d, one per sample, updated with momentum (CRD, Tian et al. 2020, "exact" mode).

    All state is in persistent buffers, so a resumed run draws and scores the same. With several processes every rank must write
    the embeddings of all ranks, in the same order; otherwise the banks diverge.

    Args:
        labels: (M,), the class of every sample; negatives come from other classes. Without classes, pass arange(M): then every
            other sample is a negative.
        dim: d.
        momentum: the weight of the old vector in an update.
        generator: the source of the initial vectors.

    Raises:
        ValueError: if all samples belong to one class.
    """

    vectors: Tensor
    by_class: Tensor
    first: Tensor
    count: Tensor
    labels: Tensor

    def __init__(self, labels: Labels, dim: int, momentum: float, generator: torch.Generator) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("vectors", F.normalize(torch.randn(len(labels), dim, generator=generator), dim=1))
        # Samples sorted by class: those of class c are by_class[first[c] : first[c] + count[c]].
        count = torch.bincount(labels)
        self.register_buffer("labels", labels.clone())
        self.register_buffer("by_class", torch.argsort(labels, stable=True))
        self.register_buffer("count", count)
        self.register_buffer("first", count.cumsum(0) - count)
        if int(count.max()) == len(labels):
            raise ValueError("a memory bank needs samples of at least two classes to draw negatives from")

    def __len__(self) -> int:
        return len(self.vectors)

    def draw(self, rows: Labels, n: int, generator: torch.Generator) -> Tensor:
        """Draw n bank rows of other classes for each sample in `rows`, uniformly with replacement: (len(rows), n)."""
        classes = self.labels[rows]
        own_first, own_count = self.first[classes, None], self.count[classes, None]
        uniform = torch.rand(len(rows), n, generator=generator, device=generator.device).to(rows.device)
        position = (uniform * (len(self) - own_count)).long()
        # Skip over the block of the sample's own class.
        return self.by_class[position + own_count * (position >= own_first)]

    def scores(self, queries: Features, columns: Tensor) -> Tensor:
        """Compute inner products of each query with its drawn vectors: (n, N), differentiable in the queries.

        Matrix products with the whole bank and a gather of columns give the same numbers as gathering (n, N, d) vectors first,
        without the gigabytes.

        Args:
            queries: (n, d).
            columns: (n, N), the drawn rows of the bank.
        """
        return _DrawnScores.apply(queries.to(self.vectors.dtype), self.vectors, columns)

    @torch.no_grad()
    def update(self, rows: Labels, embeddings: Features) -> None:
        """Set vector <- normalise(momentum vector + (1 - momentum) embedding) for the samples in `rows`."""
        mixed = self.momentum * self.vectors[rows] + (1 - self.momentum) * embeddings.to(self.vectors.dtype)
        self.vectors[rows] = F.normalize(mixed, dim=1)


class _DrawnScores(torch.autograd.Function):
    """Compute (queries @ vectors.T).gather(1, columns), a few queries at a time, without storing the full (n, M) matrix."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, vectors: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(vectors, columns)
        scores = queries.new_empty(columns.shape)
        product = queries.new_empty(min(QUERIES_AT_ONCE, len(queries)), len(vectors))
        for rows in _chunks(len(queries)):
            part = queries[rows]
            torch.mm(part, vectors.T, out=product[: len(part)])
            torch.gather(product[: len(part)], 1, columns[rows], out=scores[rows])
        return scores

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        vectors, columns = ctx.saved_tensors
        result = gradient.new_empty(len(gradient), vectors.shape[1])
        spread = gradient.new_empty(min(QUERIES_AT_ONCE, len(gradient)), len(vectors))
        for rows in _chunks(len(gradient)):
            part = gradient[rows]
            torch.mm(spread[: len(part)].zero_().scatter_add_(1, columns[rows], part), vectors, out=result[rows])
        return result, None, None


def _chunks(n: int) -> list[slice]:
    return [slice(start, start + QUERIES_AT_ONCE) for start in range(0, n, QUERIES_AT_ONCE)]
