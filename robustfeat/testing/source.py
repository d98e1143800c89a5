"""The check of the contract of data sources."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from robustfeat.data import ImageDataset, Source, dataset
from robustfeat.data.sources import source_of
from robustfeat.runtime.errors import UnknownNameError


def check_source(source: Source, name: str, splits: Sequence[str] = ("train", "test")) -> None:
    """Check that a data source fulfils its contract.

    It must take its own name and no other, open each split with the same images in the same order every time, have a class name
    for every label, and refuse other splits.

    Args:
        source: an instance of a registered class.
        name: the name of existing data that the source takes.
        splits: all splits of this data.

    Raises:
        AssertionError: if the source violates the contract.
    """
    assert type(source_of(name)) is type(source), (
        f"dataset({name!r}) asks {source_of(name).name!r}; see takes and breadth"
    )
    assert not source.takes("/no/such/data"), "takes must be False for data that is not there"
    size = dataset(name, splits[0]).image_size
    classes = {dataset(name, split).classes for split in splits}
    assert len(classes) == 1, f"every split must have the same classes in the same order, they have {classes}"
    for split in splits:
        first, again = dataset(name, split), dataset(name, split)
        _check_images(first)
        assert first.fingerprint == again.fingerprint, (
            f"{split!r} must have the same images in the same order every time"
        )
        assert len(dataset(name, f"{split}[:1]")) == 1, f"{split}[:1] must be one image"
        scaled = dataset(name, split, image_size=size + 3)
        assert scaled.pixels(torch.arange(1)).shape[2:] == (size + 3, size + 3), "image_size must be that of the images"
        assert len(scaled) == len(first), "no image may get lost with image_size"
        if first.masks is not None:
            _check_images(scaled)
    try:
        source.open(name, "no-such-split")
    except UnknownNameError as error:
        assert "no-such-split" in str(error), f"the error must name the split, it said {error}"  # noqa: PT017
    else:
        raise AssertionError("a split that is not there must raise UnknownNameError")


def _check_images(data: ImageDataset) -> None:
    """Check that pixels, labels, class names and masks of a data set are valid and match each other."""
    n, side = len(data), data.image_size
    assert n > 0, "a split must have images"
    pixels = data.pixels(torch.arange(n))
    assert pixels.dtype == torch.uint8, f"pixels must be uint8, they are {pixels.dtype}"
    assert pixels.shape == (n, 3, side, side), f"pixels must be {(n, 3, side, side)}, they are {tuple(pixels.shape)}"
    assert len({*data.classes}) == len(data.classes), f"the names of classes must differ, they are {data.classes}"
    if data.labels is not None:
        assert data.labels.dtype == torch.int64, f"labels must be int64, they are {data.labels.dtype}"
        assert data.labels.shape == (n,), f"there must be {n} labels, there are {tuple(data.labels.shape)}"
        assert int(data.labels.min()) >= 0, "labels must not be negative"
        assert int(data.labels.max()) < len(data.classes), "every label needs the name of its class"
    if data.files is not None:
        assert len(data.files) == n, f"there must be {n} file names, there are {len(data.files)}"
    if data.masks is not None:
        assert data.masks.dtype == torch.bool, f"masks must be bool, they are {data.masks.dtype}"
        assert data.masks.shape == (n, side, side), f"masks must be {(n, side, side)}, are {tuple(data.masks.shape)}"
