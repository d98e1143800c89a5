"""This module reads folders of images as a table: a folder per class, below a folder per split where there are splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from robustfeat.data.files_table import files_table
from robustfeat.data.folder import Listing, images_below
from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.base import Source
from robustfeat.data.split import SPLITS, no_splits
from robustfeat.data.table import Table
from robustfeat.runtime.registry import unknown

# Names, in any case, by which a folder is seen to be one of splits.
KNOWN = {*SPLITS, "training", "testing", "val", "valid", "dev", "eval", "evaluation"}
Parts = tuple[str, ...]  # the names of folders on the way to an image


@SOURCES.register("image-folder")
class ImageFolder(Source):
    """A folder of images: a folder per class, below a folder per split where there are splits."""

    breadth = 3

    def takes(self, name: str) -> bool:
        return Path(name).expanduser().is_dir()

    def open(self, name: str, split: str) -> Table:
        return image_folder(Path(name).expanduser(), split)


def image_folder(root: Path, split: str) -> Table:
    """Return the images of a split, sorted by folder and name.

    The folders in `root` are splits if one of them has the name of a split ("train", "Test", "val") or of the requested split;
    otherwise all images are "train". Names further below do not define splits. Each folder that holds images is a class, named by
    its path below the split; the leading folders that all classes share are left out of their names. Classes are sorted by name
    and have the same number in every split. A single folder of images has no classes and no labels.

    Raises:
        ValueError: for images at different depths, for folders that may be splits or classes, and if there are no images.
        UnknownNameError: if there is no such split.
    """
    listing = images_below(root)
    if not listing.paths:
        beside = f" ({listing.words()})" if listing.left_out else ""
        raise ValueError(f"folder {str(root)!r} has neither parquet files nor images in it{beside}")
    splits = _splits(root, listing, split)
    if splits is None and split != "train":
        raise no_splits(str(root), split)
    if splits is not None and split not in splits:
        same = [name for name in splits if name.casefold() == split.casefold()]
        if len(same) != 1:
            raise unknown("split", split, splits)
        split = same[0]
    depth = 0 if splits is None else 1
    left_out = Counter(listing.left_out)
    folders: dict[Path, tuple[str, Parts]] = {}  # of each image: its split, and the folders below that
    for path in listing.paths:
        parts = path.relative_to(root).parts[:-1]
        if len(parts) < depth:
            left_out["images beside the splits"] += 1
        else:
            folders[path] = "".join(parts[:depth]), parts[depth:]
    classes = _classes(root, folders)
    chosen = {path: parts for path, (of, parts) in folders.items() if depth == 0 or of == split}
    if not chosen:
        raise ValueError(f"data set {str(root)!r} cannot be read: the split is empty")
    labelled = bool(classes) and all(parts in classes for parts in chosen.values())
    labels = [classes[parts] for parts in chosen.values()] if labelled else None
    return files_table(root, list(chosen), labels, _names(list(classes)), left_out=Listing([], left_out).words())


def _splits(root: Path, listing: Listing, split: str) -> list[str] | None:
    """Return the names of the splits, or None if there are none."""
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    known = [name for name in names if name.casefold() in KNOWN]
    if not known and split not in names:
        return None
    others = [name for name in names if name not in known]
    flat = all(len(path.relative_to(root).parts) <= 2 for path in listing.paths)
    if len(known) == 1 and others and flat and split not in others:
        raise ValueError(
            f"folder {str(root)!r} has {known[0]} beside {', '.join(others)}, and images right in them: are they splits or "
            "classes? Put classes into a folder named train, or rename the class that is called like a split"
        )
    return names


def _classes(root: Path, folders: dict[Path, tuple[str, Parts]]) -> dict[Parts, int]:
    """Return the number of each class folder over all splits, except splits without classes; empty for a single class folder."""
    found: dict[int, tuple[Path, str]] = {}
    labelled = {split for split, parts in folders.values() if parts}
    for path, (split, parts) in folders.items():
        if split in labelled:
            found.setdefault(len(parts), (path, split))
    if len(found) > 1:
        (one, _), (two, _) = found[min(found)], found[max(found)]
        raise ValueError(
            f"classes of unequal depth in {str(root)!r}: {str(one.relative_to(root))!r} and {str(two.relative_to(root))!r}; "
            "put every image right into the folder of its class, and those folders beside each other"
        )
    kinds = sorted({parts for split, parts in folders.values() if split in labelled})
    return {parts: number for number, parts in enumerate(kinds)} if len(kinds) > 1 else {}


def _names(classes: Sequence[Parts]) -> list[str]:
    """Return the folder paths without their common beginning."""
    shared = 0
    while len({parts[: shared + 1] for parts in classes}) == 1:
        shared += 1
    return ["/".join(parts[shared:]) for parts in classes]
