"""`dataset(name)`: where images come from. Embedded digits, IDX files, parquet, image folders and the Hub, one interface."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from robustfeat.backbones.architecture import Framing
from robustfeat.data import idx
from robustfeat.data.image_folder import image_folder
from robustfeat.data.parquet import parquet
from robustfeat.data.split import Split, parse_split
from robustfeat.data.square import fit_square
from robustfeat.data.store import ImageDataset, MemoryImages, OnError
from robustfeat.data.table import Table, read
from robustfeat.numerics.random import generator
from robustfeat.runtime.needed import needed
from robustfeat.runtime.registry import unknown

HUB_IDS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "stl10": "tanganke/stl10",
    "fashion-mnist": "zalando-datasets/fashion_mnist",
}
LABELS = {"cifar100": "fine_label", "uoft-cs/cifar100": "fine_label"}
PATHS = (".", "/", "~")  # how a name begins that can be nothing but a path


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
    """Images with labels, as uint8 RGB.

    name: "digits" (embedded in scikit-learn), "fashion-mnist" (Debian's IDX files or the Hub), "cifar10", "cifar100",
        "stl10" (a folder of that name under $ROBUSTFEAT_DATA, else the Hub), any Hub id ("owner/name" or
        "owner/name:config"), a folder of images by class, with or without a folder per split above the classes, a parquet
        file or a folder of them (above 1 GiB written once as a table into huggingface_hub's HF_ASSETS_CACHE, to be read from
        there row by row).
    split: "train", "test", or a part such as "train[:90%]" or "train[100:200]". Files without splits are all "train".
        Parts follow the data's order; where that goes class by class, each part gets its share of every class.
    image_size: scale and centre-crop to so many pixels per side; needed where sizes differ.
    framing: how images are brought to that size, where it is not the default: that of `extractor.card.architecture`.
    image, label: column names, where the data has more than one column that could be meant.
    on_error: "raise" names file and row of a broken image; "skip" leaves such rows out and counts them in the log.
    in_memory: False decodes on demand; None decides by size (1 GiB).

    Raises KeyError for an unknown name or split, FileNotFoundError for a missing path, ValueError for an empty split,
    a broken image or an ambiguous column, OfflineError where the Hub is needed and can not be reached.
    """
    part = parse_split(split)
    text = os.fspath(name)
    root = os.environ.get("ROBUSTFEAT_DATA")
    local = Path(root).expanduser() / text if root and text in HUB_IDS else None
    if text in ("digits",):
        return _select(_digits(), part, image_size, framing)
    if text == "fashion-mnist":
        folder = next((f for f in (local, idx.DEBIAN_FOLDER) if f and idx.holds(f, part.name)), None)
        if part.name not in idx.PREFIX:
            raise unknown("split", part.name, idx.PREFIX)
        if folder:
            images, labels = idx.read(folder, part.name)
            whole = MemoryImages(text, images, labels, idx.FASHION_CLASSES)
            return _select({part.name: lambda: whole}, part, image_size, framing)
    open_split = _opener(text, local)
    return read(
        text,
        open_split(part.name),
        part,
        image=image,
        label=label or LABELS.get(text),
        image_size=image_size,
        framing=framing,
        on_error=on_error,
        in_memory=in_memory,
    )


def _opener(text: str, local: Path | None) -> Callable[[str], Table]:
    """How to open a split of `text`: as parquet, as a folder of images, or from the Hub."""
    path = local if local and local.exists() else Path(text).expanduser()
    if path.is_file() and path.suffix == ".parquet":
        return partial(parquet, [path])
    if path.is_dir():
        if files := sorted(path.rglob("*.parquet")):
            return partial(parquet, files)
        return partial(image_folder, path)
    if text in HUB_IDS or is_hub_id(text):
        from robustfeat.data.hugging_face import hub  # with `datasets`, which few need and takes a second

        return partial(hub, HUB_IDS.get(text, text))
    if text.startswith(PATHS) or text.endswith(".parquet"):
        raise FileNotFoundError(f"no such file or folder: {text!r}")
    raise unknown("data set", text, ["digits", *HUB_IDS])


def is_hub_id(name: str) -> bool:
    """Whether a name is "owner/name" or "owner/name:config" of the Hub, if there is no file or folder of that name."""
    return name.count("/") == 1 and not name.startswith(PATHS) and not name.endswith(".parquet")


def _digits() -> dict[str, Callable[[], MemoryImages]]:
    """scikit-learn's 1,797 digits, 8x8 with values 0..16: 1,297 to train on and 500 to test, by a fixed permutation."""
    with needed("the data set 'digits'", "sklearn", "scikit-learn"):
        from sklearn.datasets import load_digits

    digits = load_digits()
    grey = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8)
    images = grey[:, None].repeat(1, 3, 1, 1)
    labels = torch.from_numpy(digits.target).long()
    order = torch.randperm(len(images), generator=generator(0))
    names = tuple(map(str, range(10)))
    rows = {"train": order[:1297], "test": order[1297:]}
    return {key: partial(MemoryImages, "digits", images[r], labels[r], names) for key, r in rows.items()}


def _select(
    splits: dict[str, Callable[[], MemoryImages]], part: Split, image_size: int | None, framing: Framing | None
) -> MemoryImages:
    """A part of an embedded data set, scaled if asked."""
    if part.name not in splits:
        raise unknown("split", part.name, splits)
    whole = splits[part.name]()
    chosen = whole.take(part.rows(len(whole), whole.labels))
    if image_size is None or (framing is None and image_size == chosen.image_size):
        return chosen
    if framing is not None:
        arrays = chosen.images.permute(0, 2, 3, 1).numpy()
        framed = np.stack([np.asarray(fit_square(Image.fromarray(array), image_size, framing)) for array in arrays])
        return MemoryImages(
            chosen.name, torch.from_numpy(framed).permute(0, 3, 1, 2).contiguous(), chosen.labels, chosen.classes
        )
    scaled = torch.nn.functional.interpolate(
        chosen.images.float(), size=(image_size, image_size), mode="bilinear", antialias=True
    )
    return MemoryImages(chosen.name, scaled.round().clamp(0, 255).to(torch.uint8), chosen.labels, chosen.classes)
