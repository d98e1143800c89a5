"""Adversarial weight perturbation (AWP), Wu et al. 2020 (NeurIPS, arXiv 2004.05884): the gradient at perturbed weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def perturbed(network: nn.Module, gamma: float) -> Iterator[None]:
    """Perturb the weights of a network within the context, and restore all tensors afterwards bit by bit.

    Each weight w becomes w + gamma |w| g / |g|, where g is its gradient on entering the context. Weights are parameters of more
    than one dimension, each by itself, in the l2 norm of all its numbers; biases and normalisation layers do not change.
    Neither does a weight whose gradient is 0, not finite or missing.

    Args:
        network: the network, with gradients.
        gamma: the relative size of the perturbation.
    """
    tensors = [*network.parameters(), *network.buffers()]
    saved = [tensor.detach().clone() for tensor in tensors]
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1 and weight.grad is not None:
                length = weight.grad.norm()
                usable = (length > 0) & length.isfinite()
                weight.add_(torch.where(usable, gamma * weight.norm() / length * weight.grad, 0.0))
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(tensors, saved)
