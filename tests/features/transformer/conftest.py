"""The images of the transformer's tests, as pixels and as floats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformer_images import LABELS, N

from robustfeat.numerics.random import generator


@pytest.fixture
def pixels() -> torch.Tensor:
    """Random 8x8 images, as uint8 (n, 3, 8, 8); those with odd numbers are a little brighter."""
    random = torch.randint(0, 128, (N, 3, 8, 8), generator=generator(0), dtype=torch.uint8)
    return random + 16 * torch.from_numpy(LABELS).byte()[:, None, None, None]


@pytest.fixture
def images(pixels: torch.Tensor) -> np.ndarray:
    return (pixels.float() / 255).numpy()
