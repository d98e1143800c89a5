"""This module transfers tensors to a device asynchronously."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return the tensor on a device; from the CPU to a GPU it is copied through pinned memory, without waiting for the copy."""
    if tensor.is_cpu and torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
