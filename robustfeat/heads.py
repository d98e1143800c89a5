"""A linear head for a network that was trained without one: the clean linear probe ("SLF") of its frozen features."""

from __future__ import annotations

import torch

from robustfeat import logistic
from robustfeat.data import ImageDataset
from robustfeat.modes import evaluating
from robustfeat.network import Network
from robustfeat.random import generator

HEAD = 4  # what this stream of random numbers is for


@torch.no_grad()
def fit_head(network: Network, data: ImageDataset, *, batch_size: int = 256, seed: int = 0) -> None:
    """Replace the network's head by logistic regression on its features of `data` (clean, not augmented)."""
    labels = data.require_labels()
    device = network.mean.device
    with evaluating(network):
        features = torch.cat([network.features(b.images.to(device)).cpu() for b in data.batches(batch_size)])
    classes = network.head.out_features
    linear, _ = logistic.fit_held_out(features, labels, classes, generator(seed, HEAD))
    network.head.weight.copy_(linear.weight)
    if network.head.bias is not None:
        network.head.bias.copy_(linear.bias)
