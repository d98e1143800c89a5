"""This module defines `dataset(name)`, which reads a split, or a part of one, as images of one size."""

from __future__ import annotations

import os

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from robustfeat.backbones.architecture import Framing
from robustfeat.data.memory import MemoryImages
from robustfeat.data.sources.base import source_of
from robustfeat.data.split import Split, parse_split
from robustfeat.data.square import fit_mask, fit_square
from robustfeat.data.store import ImageDataset, OnError
from robustfeat.data.table import read


def dataset(
    name: str | os.PathLike[str],
    split: str = "train",
    *,
    image_size: int | None = None,
    framing: Framing | None = None,
    image: str | None = None,
    label: str | None = None,
    on_error: OnError = "raise",
    in_memory: bool | None = None,
) -> ImageDataset:
    """Read a data set as uint8 RGB images with labels.

    Args:
        name: a single name ("digits", embedded in scikit-learn; "fashion-mnist", also from Debian's files; "cifar10", "cifar100",
            "stl10": a folder of that name under $ROBUSTFEAT_DATA, else the Hub), any Hub id ("owner/name" or
            "owner/name:config"), or a path: a folder of images by class, with or without a folder per split above the classes; a
            folder in the layout of MVTec AD, with its masks; a folder of IDX files; a parquet file or a folder of them (above 1
            GiB written once as a table into huggingface_hub's HF_ASSETS_CACHE, and read from there row by row). Each source is a
            file in `robustfeat.data.sources`; a custom source is a class that is registered there.
        split: "train", "test", or a part such as "train[:90%]" or "train[100:200]". Files without splits are all "train". Parts
            follow the order of the data; if that is sorted by class, each part gets its share of every class.
        image_size: scale and centre-crop to this many pixels per side; needed if sizes differ.
        framing: how images are brought to that size, if not by the default: that of `extractor.card.architecture`.
        image: the image column, if the data has several.
        label: the label column, if the data has several.
        on_error: "raise" names file and row of a broken image; "skip" leaves such rows out and counts them in the log.
        in_memory: False decodes on demand; None decides by size (1 GiB).

    Raises:
        KeyError: for an unknown name or split.
        FileNotFoundError: for a missing path.
        ValueError: for an empty split, a broken image, an ambiguous column or a mask that does not fit its image.
        OfflineError: if the Hub is needed and cannot be reached.
    """
    part = parse_split(split)
    text = os.fspath(name)
    source = source_of(text)
    opened = source.open(text, part.name)
    if isinstance(opened, MemoryImages):
        found: ImageDataset = _select(opened, part, image_size, framing)
    else:
        found = read(
            text,
            opened,
            part,
            image=image,
            label=label or source.label,
            image_size=image_size,
            framing=framing,
            on_error=on_error,
            in_memory=in_memory,
        )
    found.split = str(part)
    return found


def _select(whole: MemoryImages, part: Split, image_size: int | None, framing: Framing | None) -> MemoryImages:
    """Return a part of images that are in memory, scaled if a size is given."""
    chosen = whole.take(part.rows(len(whole), whole.labels))
    if image_size is None or (framing is None and image_size == chosen.image_size):
        return chosen
    if framing is not None:
        arrays = chosen.images.permute(0, 2, 3, 1).numpy()
        framed = np.stack([np.asarray(fit_square(Image.fromarray(array), image_size, framing)) for array in arrays])
        images = torch.from_numpy(framed).permute(0, 3, 1, 2).contiguous()
    else:
        side = (image_size, image_size)
        scaled = F.interpolate(chosen.images.float(), size=side, mode="bilinear", antialias=True)
        images = scaled.round().clamp(0, 255).to(torch.uint8)
    masks = None if chosen.masks is None else torch.stack([fit_mask(m, image_size, framing) for m in chosen.masks])
    return MemoryImages(chosen.name, images, chosen.labels, chosen.classes, masks, chosen.files)
