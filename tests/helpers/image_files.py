"""Makers of image files and tables for the tests of the sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import torch
from datasets import ClassLabel, Features
from PIL import Image

from robustfeat.data import ImageDataset

AB = ClassLabel(names=["a", "b"])


def pixels(n: int, seed: int = 0, height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def write_images(folder: Path, images: np.ndarray | Sequence[Image.Image]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(folder / f"{i}.png")


def write_parquet(path: Path, images: Sequence[object], **labels: tuple[Sequence[object], object]) -> Path:
    """A table with a column img of PNG bytes and label columns name=(values, feature)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"img": [Image.fromarray(image) if isinstance(image, np.ndarray) else image for image in images]}
    features = {"img": datasets.Image()}
    for name, (column, feature) in labels.items():
        values[name], features[name] = list(column), feature
    datasets.Dataset.from_dict(values, features=Features(features)).to_parquet(str(path))
    return path


def everything(data: ImageDataset) -> np.ndarray:
    """All pixels as (n, h, w, 3), as PIL has them."""
    return data.pixels(torch.arange(len(data))).permute(0, 2, 3, 1).numpy()
