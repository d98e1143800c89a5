"""The noise-contrastive critic of CRD and GACD: does a pair of embeddings belong together? Tian et al. 2020, section 3.2."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.types import PerExample
from robustfeat.objectives.decided import Decided
from robustfeat.runtime.parallel import mean_over_processes


class Critic(Decided):
    """Loss of anchors against live and stored embeddings.

        a_ij = score_ij - log(c N),  l_i = softplus(-a_ii) + sum over negatives j of softplus(a_ij)

    N: number of negatives.  c: mean of exp(score) over the first batch (of the stored scores, where there are any), which
    takes the place of CRD's partition function.
    """

    c: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("c", torch.zeros(()))  # 0 until the first batch

    def forward(
        self, scores: Tensor, stored: Tensor | None = None, *, keep: bool = True
    ) -> tuple[PerExample, PerExample]:
        """Per anchor the loss l_i and log h(+), the critic's log-belief in the true pair.

        scores: (n, n), t.s / tau of anchors by live embeddings, pairs on the diagonal.  stored: (n, N), of stored negatives.
        keep: whether the first call decides c for good; an attack makes do with its own.
        """
        n = negatives(scores, stored)
        a = scores - (offset := torch.log(self._constant(scores if stored is None else stored, keep)) + math.log(n))
        positive = F.softplus(-a.diagonal())
        itself = torch.eye(len(a), dtype=torch.bool, device=a.device)
        loss = positive + F.softplus(a).masked_fill(itself, 0).sum(dim=1)
        if stored is not None:
            loss = loss + F.softplus(stored - offset).sum(dim=1)
        return loss, -positive.detach()

    def _constant(self, scores: Tensor, keep: bool) -> Tensor:
        if self.decided("c"):
            return self.c.clone()
        c = mean_over_processes(scores.detach().exp().mean())
        if keep:
            self.decide("c", c)
        return c


def negatives(scores: Tensor, stored: Tensor | None) -> int:
    """Negatives per anchor; at least 1, for a batch of one image without a bank."""
    return max(1, len(scores) - 1 + (0 if stored is None else stored.shape[1]))
