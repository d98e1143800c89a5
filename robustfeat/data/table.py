"""This module converts the rows of tables with an image column, from any file format, into images."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from robustfeat.backbones.architecture import Framing
from robustfeat.data.file_names import file_names
from robustfeat.data.labels import column_labels, rows_with_class
from robustfeat.data.memory import MemoryImages
from robustfeat.data.picture import read_picture
from robustfeat.data.rows import picked
from robustfeat.data.split import Split
from robustfeat.data.square import fit_mask, fit_square
from robustfeat.data.store import ImageDataset, OnError
from robustfeat.data.streamed import StreamedImages
from robustfeat.runtime.errors import BrokenImageError
from robustfeat.runtime.registry import unknown

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class Table:
    """Rows in memory or mapped from the disk; the metadata of their schema names the image columns and the classes.

    Args:
        rows: the rows.
        fingerprint: identifies the source; it changes whenever the source may have changed.
        left_out: what was left out next to the images, in words with counts; empty if nothing was.
    """

    rows: pa.Table
    fingerprint: str
    left_out: str = ""

    @property
    def features(self) -> dict[str, Any]:
        """The description of each column by Hugging Face `datasets`; empty for a table from other software."""
        return _features(self.rows.schema)


def read(
    name: str,
    table: Table,
    part: Split,
    *,
    image: str | None,
    label: str | None,
    image_size: int | None,
    framing: Framing | None,
    on_error: OnError,
    in_memory: bool | None,
) -> ImageDataset:
    """Return the chosen rows of a table as an ImageDataset; columns are found by their features unless they are named.

    Args and errors are those of `dataset`.
    """
    image = _column(table, image, "Image", "image")
    if image is None:
        raise ValueError(
            f"data set {name!r} has no image column among {table.rows.column_names}; name it with image=..."
        )
    label = _column(table, label, "ClassLabel", "label")
    names = table.features.get(label, {}).get("names") if label is not None else None
    labels = None if label is None else column_labels(name, table.rows, label)
    asked = rows = part.rows(len(table.rows), labels)
    if label is not None and labels is not None:
        rows = rows_with_class(name, label, labels, names, rows, on_error)
    cells = table.rows.column(image)
    if not _may_be_images(cells.type):
        raise ValueError(
            f"column {image!r} of {name!r} holds no images: it is {cells.type}, not encoded bytes or paths"
        )
    size = image_size or _side(name, cells, rows, on_error)
    decode = partial(_decode, name, cells, size, framing, resize=image_size is not None)
    classes = ()
    if labels is not None:
        classes = tuple(names or map(str, range(int(labels.max()) + 1)))
    fits = len(rows) * 3 * size * size <= IN_MEMORY_BYTES
    use_memory = fits if in_memory is None else in_memory
    left_out = [table.left_out] if table.left_out else []
    if len(rows) < len(asked):
        left_out.insert(0, f"{len(asked) - len(rows)} rows of {len(asked)} without a class")
    if use_memory or on_error == "skip":
        labelled = len(rows)
        rows, images = _decode_all(decode, rows, on_error, keep=use_memory)
        if len(rows) < labelled:
            left_out.insert(0, f"{labelled - len(rows)} broken images of {labelled}")
    if left_out:
        log.warning("%s: skipped %s", name, ", ".join(left_out))
    if len(rows) == 0:
        raise ValueError(f"not one image of {name!r} could be read")
    chosen_labels = picked(labels, rows)
    mask = _column(table, None, "Mask", "mask")
    masks = None
    if mask is not None:
        masks = torch.stack([_mask(name, table.rows, (image, mask), size, framing, row) for row in rows.tolist()])
    files = file_names(cells, rows)
    if use_memory:
        return MemoryImages(name, images, chosen_labels, classes, masks, files)
    source = table.fingerprint if framing is None else f"{table.fingerprint}:{framing}"
    return StreamedImages(name, decode, rows, chosen_labels, classes, size, source, masks, files)


def _column(table: Table, wanted: str | None, kind: str, role: str) -> str | None:
    """Return the named column, else the only one of that kind; None if there is none, an error if there are several."""
    if wanted is not None:
        if wanted not in table.rows.column_names:
            raise unknown(f"{role} column", wanted, table.rows.column_names)
        return wanted
    found = [name for name, feature in table.features.items() if _kind(feature) == kind]
    if len(found) > 1:
        raise ValueError(f"the data has several {role} columns, {found}; name one with {role}=...")
    return found[0] if found else None


def class_columns(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of the classes, in order, for each class column that has names."""
    classes = {name: feature for name, feature in _features(schema).items() if _kind(feature) == "ClassLabel"}
    return {name: list(feature["names"]) for name, feature in classes.items() if feature.get("names")}


def _features(schema: pa.Schema) -> dict[str, Any]:
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    return described.get("info", {}).get("features", {})


def _kind(feature: Any) -> Any:
    return feature.get("_type") if isinstance(feature, dict) else None  # a list is a column of lists


def _may_be_images(kind: pa.DataType) -> bool:
    """Return whether a column holds encoded bytes, file paths, or a struct of both, as `datasets` writes it."""
    if pa.types.is_struct(kind):
        return not {kind.field(i).name for i in range(kind.num_fields)}.isdisjoint({"bytes", "path"})
    return kind in (pa.binary(), pa.large_binary(), pa.string(), pa.large_string())


def _side(name: str, cells: pa.ChunkedArray, rows: torch.Tensor, on_error: OnError) -> int:
    """Return the side in pixels of the first readable image; images that are not square need image_size."""
    for row in rows.tolist():
        try:
            width, height = _open(name, cells, row).size
            break
        except BrokenImageError:
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
    path = content if isinstance(content, str) else path
    try:
        source = content or path
        if source is None:
            raise BrokenImageError("the cell is empty")
        return read_picture(source)
    except (BrokenImageError, FileNotFoundError) as error:
        where = f"{name!r}, row {row}" + (f" ({path})" if path else "")
        raise BrokenImageError(
            f"broken image in {where}: {error}; use on_error='skip' to leave such rows out"
        ) from error


def _decode(
    name: str, cells: pa.ChunkedArray, size: int, framing: Framing | None, row: int, *, resize: bool
) -> np.ndarray:
    """Decode one RGB image as uint8 (size, size, 3)."""
    opened = _open(name, cells, row)
    if not resize and opened.size != (size, size):
        raise ValueError(f"image {row} of {name!r} is {opened.size}, others {size}x{size}; choose image_size=...")
    return np.asarray(fit_square(opened, size, framing))


def _mask(
    name: str, rows: pa.Table, columns: tuple[str, str], size: int, framing: Framing | None, row: int
) -> torch.Tensor:
    """Return where one image is anomalous, bool (size, size), all False for an empty cell; `columns` are of image and mask."""
    image, mask = columns
    path = rows.column(mask)[row].as_py()
    if path is None:
        return torch.zeros(size, size, dtype=torch.bool)
    try:
        opened = read_picture(path)
    except (BrokenImageError, FileNotFoundError) as error:
        raise BrokenImageError(f"broken mask in {name!r}, row {row} ({path}): {error}") from error
    if opened.size != (of := _open(name, rows.column(image), row).size):
        raise ValueError(f"mask {path!r} of {name!r} is {_by(opened.size)}, its image {_by(of)}; they must be alike")
    return fit_mask(torch.from_numpy(np.array(opened)).amax(dim=2) > 0, size, framing)


def _by(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))


def _decode_all(decode: Any, rows: torch.Tensor, on_error: OnError, *, keep: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode every row with threads; returns the rows that could be read and, if kept, their images (n, 3, h, w)."""

    def attempt(row: int) -> np.ndarray | None:
        try:
            image = decode(row)
        except BrokenImageError:
            if on_error == "raise":
                raise
            return None
        return image if keep else image[:0]

    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="decode") as threads:
        images = list(threads.map(attempt, rows.tolist()))
    good = [i for i, image in enumerate(images) if image is not None]
    if not keep or not good:
        return rows[good], torch.empty(0)
    stacked = np.stack([image for image in images if image is not None])
    return rows[good], torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()
