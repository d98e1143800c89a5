"""The cache of one repository in the documented layout of huggingface_hub, so that timm and `hf cache` find the same files.

blobs/ETAG                  the content
snapshots/COMMIT/NAME       a link to it
refs/REVISION               the commit of a branch or tag at the last request to the Hub
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from robustfeat.runtime.download import COMMIT
from robustfeat.runtime.files import atomic_file, sha256, write_text


class HubCache:
    """The cached files of one repository.

    Args:
        repo: the repository as ORG/REPO.
        root: the folder of the cache; None takes HF_HUB_CACHE.

    Attributes:
        folder: the folder of the repository, below `root`.
    """

    def __init__(self, repo: str, root: Path | None = None) -> None:
        self.folder = Path(root or constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model")

    def find(self, revision: str, names: Sequence[str]) -> Path | None:
        """Return the snapshot of a revision if it contains these files, otherwise None."""
        commit = revision
        if not COMMIT.fullmatch(revision):
            try:
                commit = (self.folder / "refs" / revision).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                return None
        if not COMMIT.fullmatch(commit):
            return None
        folder = self.snapshot(commit)
        return folder if all((folder / name).is_file() for name in names) else None

    def snapshot(self, commit: str) -> Path:
        """Return the snapshot folder of a commit."""
        return self.folder / "snapshots" / commit

    def blob(self, etag: str) -> Path:
        """Return the path of a blob."""
        return self.folder / "blobs" / etag

    def link(self, commit: str, name: str, etag: str) -> None:
        """Add a blob to a snapshot atomically; several processes may do so at the same time."""
        folder = self.snapshot(commit)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".") as aside:
                link = Path(aside) / name
                link.symlink_to(Path("..", "..", "blobs", etag))
                os.replace(link, folder / name)
        except (OSError, NotImplementedError):  # a file system without links
            with atomic_file(folder / name) as temporary:
                shutil.copyfile(self.blob(etag), temporary)

    def refer(self, revision: str, commit: str) -> None:
        """Store the commit of a branch or tag."""
        path = self.folder / "refs" / revision
        if revision != commit and not (path.is_file() and path.read_text(encoding="utf-8") == commit):
            write_text(path, commit)


def etag_of(path: Path) -> str:
    """Return the name of the blob that a snapshot file links to; empty if the file is a copy."""
    return Path(os.readlink(path)).name if path.is_symlink() else ""


def content_is(path: Path, etag: str) -> bool:
    """Return whether the content of a file has this etag. An etag that is not a digest cannot be compared and is accepted."""
    if len(etag) == 64:
        return sha256(path) == etag
    if len(etag) == 40:  # git's id of a small file; some mirrors give the plain SHA-1
        data = path.read_bytes()
        sums = [hashlib.sha1(head + data, usedforsecurity=False) for head in (b"blob %d\0" % len(data), b"")]
        return etag in [one.hexdigest() for one in sums]
    return True
