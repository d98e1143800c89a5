"""This module makes small data sets for rehearsals, with the names and columns that the recipes read and separable classes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

COLUMNS = {"cifar10": ("img", "label"), "cifar100": ("img", "fine_label"), "fashion-mnist": ("image", "label")}
CLASSES = 10


def write_data(folder: Path, *, train: int, test: int, side: int = 32) -> None:
    """Write parquet files like those of the Hub, in which the classes alternate.

    Args:
        folder: the folder of all data sets.
        train: the number of training images.
        test: the number of test images.
        side: pixels per side.
    """
    random = np.random.default_rng(0)
    centres = random.integers(60, 196, (CLASSES, side, side, 3))
    for name, (image, label) in COLUMNS.items():
        for split, count in (("train", train), ("test", test)):
            labels = np.arange(count) % CLASSES
            pixels = (centres[labels] + random.normal(0, 30, (count, side, side, 3))).clip(0, 255).astype(np.uint8)
            images = [{"bytes": _png(values), "path": None} for values in pixels]
            features = {
                image: {"_type": "Image"},
                label: {"_type": "ClassLabel", "names": [f"class {i}" for i in range(CLASSES)]},
            }
            kinds = {image: pa.struct([("bytes", pa.binary()), ("path", pa.string())]), label: pa.int64()}
            schema = pa.schema(kinds, metadata={"huggingface": json.dumps({"info": {"features": features}})})
            table = pa.table({image: images, label: labels}, schema=schema)
            path = folder / name / f"{split}-00000-of-00001.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
