"""The noise-contrastive critic of CRD and GACD, which classifies pairs of embeddings, Tian et al. 2020, section 3.2."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.types import PerExample
from robustfeat.objectives.decided import Decided
from robustfeat.runtime.parallel import mean_over_processes


class Critic(Decided):
    """The loss of anchors against current and stored embeddings.

        a_ij = score_ij - log(c N),  l_i = softplus(-a_ii) + sum over negatives j of softplus(a_ij)

    N is the number of negatives. c is the mean of exp(score) over the first batch (of the stored scores, if there are any),
    which replaces CRD's partition function.
    """

    c: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("c", torch.zeros(()))  # 0 until the first batch

    def forward(
        self, scores: Tensor, stored: Tensor | None = None, *, keep: bool = True
    ) -> tuple[PerExample, PerExample]:
        """Compute the loss l_i and log h(+), the critic's log-probability of the true pair, for each anchor.

        Args:
            scores: (n, n), t.s / tau of anchors by current embeddings, with pairs on the diagonal.
            stored: (n, N), scores of stored negatives.
            keep: whether the first call sets c permanently; an attack uses its own c instead.
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
    """Return the number of negatives per anchor; at least 1, for a batch of one image without a bank."""
    return max(1, len(scores) - 1 + (0 if stored is None else stored.shape[1]))
