"""Exponential moving average (EMA) of the weights of a network, which is evaluated and saved if a run averages."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from robustfeat.backbones.network import Network


class MovingAverage(nn.Module):
    """The EMA of weights and running statistics: average <- d average + (1 - d) current, with decay d.

    The first update copies; in update t, counted from 0, the decay is at most (1 + t) / (10 + t). Integers, such as the batch
    counter of batch norm, are copied from the network.

    Args:
        network: the network to average.
        decay: d, in [0, 1).

    Attributes:
        module: the averaged network.
        n_averaged: the number of updates so far, stored as in torch's AveragedModel.
    """

    n_averaged: Tensor

    def __init__(self, network: Network, decay: float) -> None:
        super().__init__()
        self.module: Network = copy.deepcopy(network)
        self.decay = decay
        self.updates = 0  # the same as n_averaged, where the host need not wait for it
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.long, device=network.mean.device))

    @torch.no_grad()
    def update(self, network: Network, *, begun: bool = True) -> None:
        """Update the average with the current network: all tensors in one call, without waiting for the device.

        Args:
            network: the current network.
            begun: whether averaging has begun; until then each update copies, like the first one.
        """
        if not begun:
            self.updates = 0
        averaged, current = ([*n.parameters(), *n.buffers()] for n in (self.module, network))
        if (t := self.updates) == 0:
            torch._foreach_copy_(averaged, current)
        else:
            pairs = list(zip(averaged, current, strict=True))
            mixed = [pair for pair in pairs if pair[0].is_floating_point()]
            whole = [pair for pair in pairs if not pair[0].is_floating_point()]
            decay = min(self.decay, (1 + t) / (10 + t))
            torch._foreach_lerp_([own for own, _ in mixed], [new for _, new in mixed], 1 - decay)
            if whole:
                torch._foreach_copy_([own for own, _ in whole], [new for _, new in whole])
        self.updates += 1
        self.n_averaged.fill_(self.updates)

    def load_state_dict(self, state_dict: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        found = super().load_state_dict(state_dict, *arguments, **options)
        self.updates = int(self.n_averaged)
        return found
