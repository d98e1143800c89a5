"""This module packs new models, reports and logs into a few files of limited size, to copy them from a temporary machine."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from pathlib import Path

from recipes.folders import Folders
from robustfeat.runtime.files import sha256, write_text

PIECE = 15_000_000  # bytes
PIECES = 8


def brought(folders: Folders) -> None:
    """Record the existing files on a machine where nothing has been packed yet, so that they are not packed."""
    if not _list(folders).is_file():
        write_text(_list(folders), json.dumps(_digests(folders), indent=1))


def pack(folders: Folders) -> list[Path]:
    """Pack what is neither recorded nor packed yet into one tar, cut into pieces travel/recipes.tar.00, .01, ...

        cat recipes.tar.* | tar x -C OUT

    unpacks them where the next call, on any machine, or `robustfeat publish` finds them.

    Returns:
        The pieces.
    """
    shutil.rmtree(folders.travel, ignore_errors=True)
    folders.travel.mkdir(parents=True)
    known, digests = json.loads(_list(folders).read_text(encoding="utf-8")), _digests(folders)
    changed = {Path(name).parent for name, digest in digests.items() if known.get(name) != digest}
    pieces = []
    with tempfile.TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w") as archive:
            for name in digests:
                if Path(name).parent in changed:  # a model is whole or not there
                    archive.add(folders.out / name, arcname=name)
        whole.seek(0)
        while changed and (content := whole.read(PIECE)):
            pieces.append(folders.travel / f"recipes.tar.{len(pieces):02d}")
            pieces[-1].write_bytes(content)
    write_text(_list(folders), json.dumps(digests, indent=1))
    if len(pieces) > PIECES:
        print(f"{len(pieces)} files to take along are more than {PIECES}: run fewer stages in one call")
    return pieces


def _list(folders: Folders) -> Path:
    return folders.work / "packed.json"


def _digests(folders: Folders) -> dict[str, str]:
    """Return the sha256 of every result file by its path below --out."""
    kept = [path for folder in (folders.models, folders.logs, folders.reports) for path in sorted(folder.rglob("*"))]
    return {str(path.relative_to(folders.out)): sha256(path) for path in kept if path.is_file()}
