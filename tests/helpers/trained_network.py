"""A network that cannot be taken for a new one."""

from __future__ import annotations

import torch

from robustfeat.backbones.network import Network
from robustfeat.numerics.random import generator
from robustfeat.testing import small_network


def trained() -> Network:
    """A network whose every number differs from that of a new one, also in its buffers."""
    network, random = small_network(1), generator(1)
    with torch.no_grad():
        for name, value in network.model.state_dict().items():
            value.copy_(torch.full_like(value, 7) if "tracked" in name else torch.rand(value.shape, generator=random))
    return network
