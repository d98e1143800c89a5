"""Tensors on their way to a device: the host goes on while they travel."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device. From the CPU to a GPU it goes through pinned memory, so that nobody waits for it to arrive."""
    if tensor.is_cpu and torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
