"""This module finds the image files below a folder and counts the other files."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2",
    ".mpo", ".avif", ".heic", ".heif",
}  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """The image files below a folder.

    Args:
        paths: the images, sorted by folder, then by name.
        left_out: the number of entries that were left out, by reason.
    """

    paths: list[Path]
    left_out: Counter[str]

    def words(self) -> str:
        """Return what was left out, such as "2 hidden, 1 of other formats"; empty if nothing was."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self.left_out.items()))


def images_below(root: Path) -> Listing:
    """Return every file with the suffix of an image format in `root` and all folders below it.

    Links are followed, and no folder is read twice: if a folder and links to it are found, the folder counts; of several links,
    the first one. Hidden files and folders (whose names begin with a dot) are left out.
    """
    paths: list[Path] = []
    left_out: Counter[str] = Counter()
    read: set[str] = set()
    folders, links = [root], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(links.index(min(links)))
        real = os.path.realpath(folder)
        if real in read:
            left_out["links to folders that are read already"] += 1
            continue
        read.add(real)
        with os.scandir(folder) as entries:
            for entry in entries:
                path = folder / entry.name
                if entry.name.startswith("."):
                    left_out["hidden"] += 1
                elif entry.is_dir():
                    (links if entry.is_symlink() else folders).append(path)
                elif not entry.is_file():
                    left_out["links to nothing"] += 1
                elif path.suffix.lower() in IMAGE_SUFFIXES:
                    paths.append(path)
                else:
                    left_out["of other formats or without a suffix"] += 1
    return Listing(sorted(paths), left_out)
