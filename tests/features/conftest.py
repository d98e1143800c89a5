"""Images with file names, for extractions."""

from __future__ import annotations

import pytest
from feature_files import ROWS
from interrupted_extraction import noise_images

from robustfeat.data import MemoryImages


@pytest.fixture
def named() -> MemoryImages:
    bare = noise_images(ROWS)
    files = tuple(f"photos/ä {row}.png" for row in range(ROWS))
    return MemoryImages("noise", bare.images, bare.labels, ("zero", "one", "two", "three"), files=files)
