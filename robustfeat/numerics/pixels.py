"""The check of pixel values: the library works on finite floats in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.checks import refuse


def check_pixels(images: Tensor) -> None:
    """Check the pixels of images of any shape (n, ...).

    Raises:
        ValueError: the images are not finite floats in [0, 1].
    """
    if not images.is_floating_point():
        raise ValueError(f"images must be float in [0, 1], got {images.dtype}; use images.float() / 255")
    if not images.numel():
        return
    low, high = torch.aminmax(images.detach())
    refuse(
        ~((low >= -1e-6) & (high <= 1 + 1e-6)),  # also true for NaN
        lambda: ValueError(
            f"images must be finite and in [0, 1], got values from {float(low):g} to {float(high):g}; "
            "divide by 255 or undo the normalisation (the network normalises by itself)"
        ),
    )
