"""Images read as a person sees them, and what EXIF's orientations are by definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robustfeat.backbones.architecture import Architecture
from robustfeat.features.extractor import read_image

EIGHT = Architecture("cnn_tiny", image_size=8)
# What the stored rows become for a person, by the definition of EXIF: where the first row and the first column are seen.
SEEN: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.transpose(1, 0, 2),  # left, top
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],  # right, top
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda a: a.transpose(1, 0, 2)[::-1],  # left, bottom
}


def read(item: object) -> np.ndarray:
    """(8, 8, 3), 0 to 255."""
    return read_image(item, EIGHT).permute(1, 2, 0).mul(255).round().numpy()  # type: ignore[arg-type]
