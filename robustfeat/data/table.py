"""Tables with an image column, whatever file they come from, and how their rows become images."""

from __future__ import annotations

import io
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image, UnidentifiedImageError

from robustfeat.data.split import Split
from robustfeat.data.square import fit_square, to_rgb
from robustfeat.data.store import ImageDataset, MemoryImages, OnError, StreamedImages
from robustfeat.registry import unknown

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class Table:
    """Rows in memory or mapped from the disk; the metadata of their schema says which columns are images and which classes.

    fingerprint: of the source, another one where that may have changed.
    """

    rows: pa.Table
    fingerprint: str

    @property
    def features(self) -> dict[str, Any]:
        """What Hugging Face `datasets` has written about each column; empty for a table by others."""
        described = json.loads((self.rows.schema.metadata or {}).get(b"huggingface", b"{}"))
        return described.get("info", {}).get("features", {})


def read(
    name: str,
    table: Table,
    part: Split,
    *,
    image: str | None,
    label: str | None,
    image_size: int | None,
    on_error: OnError,
    in_memory: bool | None,
) -> ImageDataset:
    """The chosen rows of a table as an ImageDataset; columns are found by their features unless named."""
    image = _column(table, image, "Image", "image")
    if image is None:
        raise ValueError(
            f"data set {name!r} has no image column among {table.rows.column_names}; name it with image=..."
        )
    label = _column(table, label, "ClassLabel", "label")
    labels = None if label is None else _labels(name, table.rows, label)
    rows = part.rows(len(table.rows), labels)
    cells = table.rows.column(image)
    if not _may_be_images(cells.type):
        raise ValueError(
            f"column {image!r} of {name!r} holds no images: it is {cells.type}, not encoded bytes or paths"
        )
    size = image_size or _side(name, cells, rows, on_error)
    decode = partial(_decode, name, cells, size, resize=image_size is not None)
    classes = ()
    if label is not None and labels is not None:
        classes = tuple(table.features.get(label, {}).get("names") or map(str, range(int(labels.max()) + 1)))
    fits = len(rows) * 3 * size * size <= IN_MEMORY_BYTES
    use_memory = fits if in_memory is None else in_memory
    if use_memory or on_error == "skip":
        rows, images = _decode_all(decode, rows, on_error, keep=use_memory)
    chosen_labels = None if labels is None else labels[rows]
    if use_memory:
        return MemoryImages(name, images, chosen_labels, classes)
    return StreamedImages(name, decode, rows, chosen_labels, classes, size, table.fingerprint)


def _column(table: Table, wanted: str | None, kind: str, role: str) -> str | None:
    """The column named, else the only one of that kind; several are an error, none is None."""
    if wanted is not None:
        if wanted not in table.rows.column_names:
            raise unknown(f"{role} column", wanted, table.rows.column_names)
        return wanted
    found = [name for name, feature in table.features.items() if _kind(feature) == kind]
    if len(found) > 1:
        raise ValueError(f"the data has several {role} columns, {found}; name one with {role}=...")
    return found[0] if found else None


def _kind(feature: Any) -> Any:
    return feature.get("_type") if isinstance(feature, dict) else None  # a list is a column of lists


def _may_be_images(kind: pa.DataType) -> bool:
    """Encoded bytes, paths of files, or a struct of both, as `datasets` writes it."""
    if pa.types.is_struct(kind):
        return not {kind.field(i).name for i in range(kind.num_fields)}.isdisjoint({"bytes", "path"})
    return kind in (pa.binary(), pa.large_binary(), pa.string(), pa.large_string())


def _labels(name: str, rows: pa.Table, column: str) -> torch.Tensor:
    values = rows.column(column).to_numpy()
    if values.dtype.kind not in "iub":  # missing values make floats
        raise ValueError(f"label column {column!r} of {name!r} must hold a class number per row, it is {values.dtype}")
    return torch.from_numpy(values.astype(np.int64))


def _side(name: str, cells: pa.ChunkedArray, rows: torch.Tensor, on_error: OnError) -> int:
    """Pixels per side of the first image that can be read; images that are not square need image_size."""
    for row in rows.tolist():
        try:
            width, height = _open(name, cells, row).size
            break
        except ValueError:
            if on_error == "raise":
                raise
    else:
        raise ValueError(f"not one image of {name!r} could be read")
    if width != height:
        raise ValueError(f"the images of {name!r} are not square ({width}x{height}); choose image_size=...")
    return width


def _open(name: str, cells: pa.ChunkedArray, row: int) -> Image.Image:
    cell = cells[row].as_py()
    content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    source: Any = io.BytesIO(content) if isinstance(content, bytes) else content or path
    try:
        opened = Image.open(source)
        opened.load()
        return opened
    except (OSError, UnidentifiedImageError, TypeError, AttributeError, SyntaxError, KeyError) as error:
        where = f"{name!r}, row {row}" + (f" ({path})" if path else "")
        raise ValueError(f"broken image in {where}: {error}; use on_error='skip' to leave such rows out") from error


def _decode(name: str, cells: pa.ChunkedArray, size: int, row: int, *, resize: bool) -> np.ndarray:
    """One RGB image as uint8 (size, size, 3): the shorter side scaled to `size`, the middle cut out."""
    opened = to_rgb(_open(name, cells, row))
    if opened.size != (size, size):
        if not resize:
            raise ValueError(f"image {row} of {name!r} is {opened.size}, others {size}x{size}; choose image_size=...")
        opened = fit_square(opened, size)
    return np.asarray(opened)


def _decode_all(decode: Any, rows: torch.Tensor, on_error: OnError, *, keep: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode every row with threads; returns the rows that could be read and, if kept, their images (n, 3, h, w)."""

    def attempt(row: int) -> np.ndarray | None:
        try:
            image = decode(row)
        except ValueError:
            if on_error == "raise":
                raise
            return None
        return image if keep else image[:0]

    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="decode") as threads:
        images = list(threads.map(attempt, rows.tolist()))
    good = [i for i, image in enumerate(images) if image is not None]
    if len(good) < len(images):
        log.warning("skipped %d broken images of %d", len(images) - len(good), len(images))
    if not good:
        raise ValueError("not one image could be read")
    if not keep:
        return rows[good], torch.empty(0)
    stacked = np.stack([image for image in images if image is not None])
    return rows[good], torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()
