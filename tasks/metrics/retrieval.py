"""Metrics of ranked lists.

All functions take `hits`, bool (n, depth), which ranks are relevant, best rank first, and `relevant`, (n,), the number of all
relevant items of each query. All metrics are float64 (n,), in [0, 1], NaN for a query without relevant items.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import PerExample


def recall_at(hits: Tensor, relevant: Tensor, k: int) -> PerExample:
    """Return 1 for queries with a relevant item among the first k, else 0."""
    return _known(hits[:, :k].any(dim=1).double(), relevant)


def map_at_r(hits: Tensor, relevant: Tensor) -> PerExample:
    """Return the mean over the first R ranks of the precision at each hit, R the relevant items, Musgrave et al. 2020, eq. 3."""
    within = _ranks(hits) <= relevant[:, None]
    return _known((_precision(hits) * (hits & within)).sum(dim=1) / relevant.clamp_min(1), relevant)


def average_precision(hits: Tensor, relevant: Tensor) -> PerExample:
    """Return the mean over the relevant items of the precision at their rank; an item that is not found counts 0."""
    return _known((_precision(hits) * hits).sum(dim=1) / relevant.clamp_min(1), relevant)


def ndcg(hits: Tensor, relevant: Tensor) -> PerExample:
    """Return the sum over the hits of 1 / log2(1 + rank), divided by that of an ideal ranking, Järvelin & Kekäläinen 2002."""
    gains = 1 / torch.log2(1 + torch.arange(1, int(max(hits.shape[1], int(relevant.max()))) + 1, dtype=torch.float64))
    best = torch.cat([gains.new_zeros(1), gains.cumsum(0)])[relevant]
    return _known((hits * gains[: hits.shape[1]]).sum(dim=1) / best.clamp_min(1), relevant)


def _ranks(hits: Tensor) -> Tensor:
    return torch.arange(1, hits.shape[1] + 1)


def _precision(hits: Tensor) -> Tensor:
    """Return the share of hits down to each rank."""
    return hits.double().cumsum(dim=1) / _ranks(hits)


def _known(values: PerExample, relevant: Tensor) -> PerExample:
    return values.masked_fill(relevant == 0, torch.nan)
