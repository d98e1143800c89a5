"""This module reads industrial anomaly data in the layout of MVTec AD (Bergmann et al. 2019).

The training split has normal images, the test split normal images and defects, and masks mark the defects.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from robustfeat.data.files_table import files_table
from robustfeat.data.folder import Listing, images_below
from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.base import Source
from robustfeat.data.table import Table
from robustfeat.runtime.registry import unknown

GOOD = "good"
SUFFIX = "_mask"  # between the name of an image and the ending of its mask


@SOURCES.register("mvtec")
class MVTec(Source):
    """A folder with train/good, test/good, test/DEFECT and ground_truth/DEFECT/IMAGE_mask.png: normal images and defects.

    Class 0 is "good"; the others are the defects in the order of their names, in both splits.
    """

    breadth = 1

    def takes(self, name: str) -> bool:
        root = Path(name).expanduser()
        return all((root / part).is_dir() for part in (f"train/{GOOD}", f"test/{GOOD}", "ground_truth"))

    def open(self, name: str, split: str) -> Table:
        root = Path(name).expanduser()
        if split not in ("train", "test"):
            raise unknown("split", split, ("train", "test"))
        defects = sorted(path.name for path in (root / "test").iterdir() if _is_class(path) and path.name != GOOD)
        classes = [GOOD, *defects]
        if strange := [path for path in (root / split).iterdir() if _is_class(path) and path.name not in classes]:
            raise ValueError(f"{str(strange[0])!r} is no class of {name!r}, whose test split has {', '.join(classes)}")
        left_out: Counter[str] = Counter()
        images: list[tuple[Path, int]] = []
        for number, kind in enumerate(classes):
            if (root / split / kind).is_dir():
                listing = images_below(root / split / kind)
                left_out += listing.left_out
                images += [(path, number) for path in listing.paths]
        if not images:
            raise ValueError(f"data set {name!r} cannot be read: the split is empty")
        masks = _masks(root, images) if split == "test" else [None] * len(images)
        paths, labels = [path for path, _ in images], [number for _, number in images]
        return files_table(root, paths, labels, classes, masks=masks, left_out=Listing([], left_out).words())


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _masks(root: Path, images: list[tuple[Path, int]]) -> list[Path | None]:
    """Return the mask of each test image, None for a good one; ValueError unless each defect, and no other image, has one."""
    found = {
        path.relative_to(root / "ground_truth").with_suffix(""): path
        for path in images_below(root / "ground_truth").paths
    }
    masks: list[Path | None] = []
    for path, label in images:
        place = path.relative_to(root / "test").with_suffix("")
        mask = found.pop(place.with_name(place.name + SUFFIX), None)
        if label == 0 and mask is not None:
            raise ValueError(
                f"there is a mask for the good image {str(path)!r}, {str(mask)!r}; one of them is misplaced"
            )
        if label > 0 and mask is None:
            expected = root / "ground_truth" / place.with_name(f"{place.name}{SUFFIX}.png")
            raise ValueError(f"there is no mask for the defect in {str(path)!r}; it should be {str(expected)!r}")
        masks.append(mask)
    if found:
        raise ValueError(f"there is no image for the mask {str(next(iter(found.values())))!r}")
    return masks
