"""Exponential moving average of a network's weights: what is evaluated and saved when a run averages."""

from __future__ import annotations

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from robustfeat.network import Network


def follow(average: AveragedModel, network: Network, *, begun: bool) -> None:
    """Take in the network as it is now; until the average has begun, as at its first update, by a copy."""
    if not begun:
        average.n_averaged.zero_()
    average.update_parameters(network)


def moving_average(network: Network, decay: float) -> AveragedModel:
    """An AveragedModel with warm-up: over the first updates t the decay is at most (1 + t) / (10 + t)."""

    def mix(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():  # the batch counter of batch norm
            return current
        t = int(updates)
        return averaged.lerp(current, 1 - min(decay, (1 + t) / (10 + t)))

    return AveragedModel(network, avg_fn=mix, use_buffers=True)
