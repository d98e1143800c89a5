"""The data package reads images from every source with `dataset()`, augments them, and forms batches in a reproducible order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.data.augment import Augment
    from robustfeat.data.folder import Listing, images_below
    from robustfeat.data.loader import Loader
    from robustfeat.data.matching import matched
    from robustfeat.data.memory import MemoryImages
    from robustfeat.data.noise import with_label_noise
    from robustfeat.data.outliers import with_outliers
    from robustfeat.data.picture import read_picture, to_rgb
    from robustfeat.data.reading import dataset
    from robustfeat.data.shared_images import overlap
    from robustfeat.data.sources import SOURCES, Source
    from robustfeat.data.sources.hugging_face import is_hub_id
    from robustfeat.data.square import fit_square
    from robustfeat.data.store import ImageDataset, check_images
    from robustfeat.data.streamed import StreamedImages

__all__ = [
    "SOURCES",
    "Augment",
    "ImageDataset",
    "Listing",
    "Loader",
    "MemoryImages",
    "Source",
    "StreamedImages",
    "check_images",
    "dataset",
    "fit_square",
    "images_below",
    "is_hub_id",
    "matched",
    "overlap",
    "read_picture",
    "to_rgb",
    "with_label_noise",
    "with_outliers",
]

attach(__name__)
