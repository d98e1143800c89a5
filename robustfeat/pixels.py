"""Pixel values that everything here works on: finite floats in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


def check_pixels(images: Tensor) -> None:
    """A ValueError says what is wrong with images of any shape (n, ...)."""
    if not images.is_floating_point():
        raise ValueError(f"images must be float in [0, 1], got {images.dtype}; use images.float() / 255")
    if not images.numel():
        return
    low, high = torch.aminmax(images.detach())
    if not (low >= -1e-6 and high <= 1 + 1e-6):  # also false for NaN
        raise ValueError(
            f"images must be finite and in [0, 1], got values from {float(low):g} to {float(high):g}; "
            "divide by 255 or undo the normalisation (the network normalises by itself)"
        )
