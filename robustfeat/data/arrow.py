"""Tables with an image column, through Hugging Face `datasets`: parquet files, image folders, the Hub."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from robustfeat.data.split import Split
from robustfeat.data.square import fit_square, to_rgb
from robustfeat.data.store import ImageDataset, MemoryImages, OnError, StreamedImages
from robustfeat.errors import OfflineError, UnknownNameError
from robustfeat.online import cache_only, hub_endpoint, reachable
from robustfeat.registry import unknown

log = logging.getLogger(__name__)

Table: TypeAlias = datasets.Dataset
IN_MEMORY_BYTES = 1 << 30
SPLITS = ("train", "test", "validation")


def parquet(files: Sequence[Path], split: str) -> Table:
    """The files of a split: those whose name begins with it (`train-00000-of-00001.parquet`); other single files are "train"."""
    if len(files) == 1 and not files[0].name.startswith(SPLITS):
        if split != "train":
            raise _no_splits(str(files[0]), split)
        chosen = files
    else:
        chosen = [file for file in files if re.match(rf"{re.escape(split)}(?![a-zA-Z])", file.name)]
    if not chosen:
        raise unknown("split", split, {file.name.split("-")[0].removesuffix(".parquet") for file in files})
    source = str(chosen[0] if len(files) == 1 else chosen[0].parent)
    return _local(source, "parquet", data_files={split: [escape(str(file)) for file in chosen]}, split=split)


def image_folder(folder: Path, split: str) -> Table:
    """A folder of images by class, with or without one folder per split above the classes; a plain folder has no labels."""
    parts = [name for name in dict.fromkeys((*SPLITS, split)) if (folder / name).is_dir()]
    if not parts:
        if split != "train":
            raise _no_splits(str(folder), split)
        return _local(str(folder), "imagefolder", data_dir=escape(str(folder)), split="train")
    if split not in parts:
        raise unknown("split", split, [path.name for path in folder.iterdir() if path.is_dir()])
    # All splits at once: a class has the same number in each, also where one of them lacks a class.
    files = {f"part{i}": escape(str(folder / name)) + "/**" for i, name in enumerate(parts)}
    return _local(str(folder), "imagefolder", data_files=files, split=f"part{parts.index(split)}")


def _no_splits(source: str, split: str) -> UnknownNameError:
    """The same rows must not be called train and test."""
    return UnknownNameError(
        f"{source!r} has no splits, so it is all 'train' and has no {split!r}; cut it, into 'train[:80%]' and 'train[80%:]' say"
    )


def hub(repository: str, split: str) -> Table:
    """A data set of the Hub by its id, "owner/name" or "owner/name:config"; the local cache comes first."""
    name, _, config = repository.partition(":")
    with cache_only(not reachable(hub_endpoint())):
        return _load(repository, name, config or None, split=split)


def _local(source: str, *arguments: Any, **options: Any) -> Table:
    """Files need no network; left alone, `datasets` tells the Hub of every load, which without one takes seconds."""
    with cache_only():
        return _load(source, *arguments, **options)


def _load(source: str, *arguments: Any, **options: Any) -> Table:
    """datasets.load_dataset with our errors, which name the source."""
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(*arguments, **options)
    except (ConnectionError, TimeoutError) as error:
        raise OfflineError(
            f"data set {source!r} is not in the cache and the Hub can not be reached; "
            "connect, or give the path of a folder with its files (cifar10 and the like: under $ROBUSTFEAT_DATA)"
        ) from error
    except FileNotFoundError as error:
        raise FileNotFoundError(f"data set {source!r} was not found: {error}") from error
    except (ValueError, datasets.exceptions.DatasetGenerationError) as error:
        if str(error).lower().startswith(("unknown split", "bad split")):
            raise UnknownNameError(f"data set {source!r} has no split {options['split']!r}: {error}") from error
        reason = " ".join(str(error.__cause__ or error).split())
        if "corresponds to no data" in reason:
            reason = "the split is empty"
        raise ValueError(f"data set {source!r} can not be read: {reason}") from error
    finally:
        if bars:
            datasets.enable_progress_bars()


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
    image = _column(table, image, datasets.Image, "image")
    if image is None:
        raise ValueError(f"data set {name!r} has no image column among {table.column_names}; name it with image=...")
    label = _column(table, label, datasets.ClassLabel, "label")
    labels = None if label is None else _labels(name, table, label)
    rows = part.rows(len(table), labels)
    try:
        encoded = table.select_columns([image]).cast_column(image, datasets.Image(decode=False))
    except (NotImplementedError, TypeError) as error:
        raise ValueError(f"column {image!r} of {name!r} holds no images: {error}") from error
    size = image_size or _side(name, encoded, image, rows, on_error)
    decode = partial(_decode, name, encoded, image, size, resize=image_size is not None)
    classes = ()
    if label is not None and labels is not None:
        classes = tuple(getattr(table.features[label], "names", None) or map(str, range(int(labels.max()) + 1)))
    fits = len(rows) * 3 * size * size <= IN_MEMORY_BYTES
    use_memory = fits if in_memory is None else in_memory
    if use_memory or on_error == "skip":
        rows, images = _decode_all(decode, rows, on_error, keep=use_memory)
    chosen_labels = None if labels is None else labels[rows]
    if use_memory:
        return MemoryImages(name, images, chosen_labels, classes)
    return StreamedImages(name, decode, rows, chosen_labels, classes, size, table._fingerprint)


def _column(table: Table, wanted: str | None, kind: type, role: str) -> str | None:
    """The column named, else the only one of that kind; several are an error, none is None."""
    if wanted is not None:
        if wanted not in table.column_names:
            raise unknown(f"{role} column", wanted, table.column_names)
        return wanted
    found = [name for name, feature in table.features.items() if isinstance(feature, kind)]
    if len(found) > 1:
        raise ValueError(f"the data has several {role} columns, {found}; name one with {role}=...")
    return found[0] if found else None


def _labels(name: str, table: Table, column: str) -> torch.Tensor:
    values = np.asarray(table.select_columns([column]).with_format("numpy")[:][column])
    if values.dtype.kind not in "iub":  # missing values make floats
        raise ValueError(f"label column {column!r} of {name!r} must hold a class number per row, it is {values.dtype}")
    return torch.from_numpy(values.astype(np.int64))


def _side(name: str, table: Table, column: str, rows: torch.Tensor, on_error: OnError) -> int:
    """Pixels per side of the first image that can be read; images that are not square need image_size."""
    for row in rows.tolist():
        try:
            width, height = _open(name, table, column, row).size
            break
        except ValueError:
            if on_error == "raise":
                raise
    else:
        raise ValueError(f"not one image of {name!r} could be read")
    if width != height:
        raise ValueError(f"the images of {name!r} are not square ({width}x{height}); choose image_size=...")
    return width


def _open(name: str, table: Table, column: str, row: int) -> Image.Image:
    cell = table[row][column]
    try:
        opened = Image.open(io.BytesIO(cell["bytes"]) if cell["bytes"] is not None else cell["path"])
        opened.load()
        return opened
    except (OSError, UnidentifiedImageError, TypeError, AttributeError, SyntaxError, KeyError) as error:
        where = f"{name!r}, row {row}" + (f" ({path})" if cell and (path := cell.get("path")) else "")
        raise ValueError(f"broken image in {where}: {error}; use on_error='skip' to leave such rows out") from error


def _decode(name: str, table: Table, column: str, size: int, row: int, *, resize: bool) -> np.ndarray:
    """One RGB image as uint8 (size, size, 3): the shorter side scaled to `size`, the middle cut out."""
    opened = to_rgb(_open(name, table, column, row))
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
