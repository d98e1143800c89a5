"""The teacher's linear head on a student's features, for objectives that draw these to where the teacher's are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustfeat.logistic import Linear
from robustfeat.network import Network
from robustfeat.types import Features


@dataclass(frozen=True)
class TeacherHead:
    """What the teacher's head is on features f of the student, W_T (W f + b) + b_T.

    Attributes:
        head: weights W_T and bias b_T of the teacher.
        side: the map between the features as training left it: nn.Identity, or nn.Linear with W and perhaps b.
        length: |W f| that training brought all mapped features to, where it did. A linear head cannot follow that image by
            image; W is scaled so that the mapped features have this length on average.
    """

    head: Linear
    side: nn.Module
    length: Tensor | None = None

    @property
    def exact(self) -> bool:
        """Whether the head fits as it is, without a map."""
        return isinstance(self.side, nn.Identity)

    @torch.no_grad()
    def on(self, features: Callable[[], Features]) -> Linear:
        """The head of the student. features: gives those of some training images (n, d), where a length has to be met."""
        if not isinstance(self.side, nn.Linear):
            return self.head
        weight = self.side.weight
        if self.length is not None:
            weight = weight * self.length / F.linear(features(), weight).norm(dim=1).mean().clamp_min(1e-12)
        shift = 0 if self.side.bias is None else F.linear(self.side.bias, self.head.weight)
        return Linear(self.head.weight @ weight, self.head.bias + shift)


def linear_of(network: Network) -> Linear:
    """A copy of a network's head; a bias that it lacks is 0."""
    weight, bias = network.head.weight.detach(), network.head.bias
    return Linear(weight.clone(), weight.new_zeros(len(weight)) if bias is None else bias.detach().clone())
