"""Metrics of ranked lists: hits (n, depth), bool, best rank first, and how many relevant items there are at all, (n,).

All are float64 (n,), in [0, 1], NaN for a query without relevant items.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import PerExample


def recall_at(hits: Tensor, relevant: Tensor, k: int) -> PerExample:
    """1 where a relevant item is among the first k."""
    return _known(hits[:, :k].any(dim=1).double(), relevant)


def map_at_r(hits: Tensor, relevant: Tensor) -> PerExample:
    """Mean over the first R ranks of the precision at each hit, R the number of relevant items: Musgrave et al. 2020, eq. 3."""
    within = _ranks(hits) <= relevant[:, None]
    return _known((_precision(hits) * (hits & within)).sum(dim=1) / relevant.clamp_min(1), relevant)


def average_precision(hits: Tensor, relevant: Tensor) -> PerExample:
    """Mean over the relevant items of the precision at their rank; one that is not found counts 0."""
    return _known((_precision(hits) * hits).sum(dim=1) / relevant.clamp_min(1), relevant)


def ndcg(hits: Tensor, relevant: Tensor) -> PerExample:
    """Sum over the hits of 1 / log2(1 + rank), divided by what R hits in front would give: Järvelin & Kekäläinen 2002."""
    gains = 1 / torch.log2(1 + torch.arange(1, int(max(hits.shape[1], int(relevant.max()))) + 1, dtype=torch.float64))
    best = torch.cat([gains.new_zeros(1), gains.cumsum(0)])[relevant]
    return _known((hits * gains[: hits.shape[1]]).sum(dim=1) / best.clamp_min(1), relevant)


def _ranks(hits: Tensor) -> Tensor:
    return torch.arange(1, hits.shape[1] + 1)


def _precision(hits: Tensor) -> Tensor:
    """Share of hits down to each rank."""
    return hits.double().cumsum(dim=1) / _ranks(hits)


def _known(values: PerExample, relevant: Tensor) -> PerExample:
    return values.masked_fill(relevant == 0, torch.nan)
