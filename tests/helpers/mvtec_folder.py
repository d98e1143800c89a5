"""A small industrial set in the layout of MVTec AD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from image_files import pixels, write_images
from PIL import Image

SIDE = 16
PLACES = {"cut": (2, 3), "scratch": (8, 6)}  # of the defects, 4x4 pixels: row and column


def defect_mask(kind: str) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    row, column = PLACES[kind]
    mask[row : row + 4, column : column + 4] = True
    return mask


def write_mvtec(root: Path, per_class: int = 2) -> Path:
    """train/good, test/good and two kinds of defects; all images are noise around a middle grey, defects are white."""

    def grey(seed: int) -> np.ndarray:
        return pixels(per_class, seed, SIDE, SIDE) // 8 + 100

    write_images(root / "train" / "good", grey(0))
    write_images(root / "test" / "good", grey(1))
    for seed, kind in enumerate(PLACES, 2):
        mask = defect_mask(kind)
        write_images(root / "test" / kind, np.where(mask[..., None], np.uint8(255), grey(seed)))
        (root / "ground_truth" / kind).mkdir(parents=True)
        for i in range(per_class):
            Image.fromarray(mask.astype(np.uint8) * 255).save(root / "ground_truth" / kind / f"{i}_mask.png")
    return root
