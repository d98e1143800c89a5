"""Exponential moving average of a network's weights: what is evaluated and saved when a run averages."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from robustfeat.backbones.network import Network


class MovingAverage(nn.Module):
    """A copy of a network whose weights and running statistics follow it, with decay d: average <- d average + (1 - d) current.

    The first update copies; over the next updates t the decay is at most (1 + t) / (10 + t). Whole numbers, such as the batch
    counter of batch norm, are those of the network.

    module: the averaged network.  n_averaged: updates so far, as torch's AveragedModel stores them.
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
        """Take in the network as it is now: all tensors in one call, without a wait for the device.

        begun: False as long as the average only follows; then this update, like the first one, copies.
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
