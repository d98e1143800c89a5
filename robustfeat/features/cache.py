"""Features that were computed before: one file per model and data set, by the digests of both."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from robustfeat.data import ImageDataset
from robustfeat.features.extraction import extract
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import sha256, write_text
from robustfeat.runtime.parallel import rank, wait_for_all

log = logging.getLogger(__name__)


def cached_features(
    extractor: FeatureExtractor,
    data: ImageDataset,
    folder: str | os.PathLike[str] | None,
    *,
    progress: bool = False,
) -> np.ndarray:
    """`extractor.transform(data)`, float32 (n, d), from `folder` where it is there; otherwise computed, and kept there.

    None keeps nothing. A file is found by the digest of the weights and the fingerprint of the data, and read when its sha256 is
    right; a damaged one is computed again. Of several processes the first one writes, and all read.
    """
    if folder is None:
        return extractor.transform(data, progress=progress)
    key = hashlib.sha256(f"{extractor.digest()} {data.fingerprint}".encode()).hexdigest()[:32]
    path = Path(folder) / f"{key}.safetensors"
    if rank() == 0:
        _ensure(path, extractor, data, progress)
    wait_for_all()  # every process must see the same features
    return _read(path, len(data), extractor.feature_dim)


def _ensure(path: Path, extractor: FeatureExtractor, data: ImageDataset, progress: bool) -> None:
    """See that the file is there and whole."""
    if path.is_file():
        try:
            _read(path, len(data), extractor.feature_dim)
            return
        except IntegrityError as error:
            log.warning("%s; computing the features again", error)
    # Under a name of its own: another evaluation may be making the same file.
    mine = path.with_name(f"{path.stem}.{os.getpid()}.{threading.get_ident()}.safetensors")
    extract(extractor, data, mine, progress=progress)
    digest = sha256(mine)
    mine.replace(path)
    write_text(_digest_of(path), digest + "\n")


def _read(path: Path, n: int, dim: int) -> np.ndarray:
    try:
        if _digest_of(path).read_text(encoding="utf-8").strip() != sha256(path):
            raise IntegrityError(f"{str(path)!r} is damaged: its sha256 is not the one it was written with")
        found = load_file(path)["features"]
    except (OSError, UnicodeDecodeError, SafetensorError, KeyError) as error:
        raise IntegrityError(f"{str(path)!r} can not be read: {error}") from error
    if found.shape != (n, dim):
        raise IntegrityError(f"{str(path)!r} holds features {found.shape} instead of {(n, dim)}")
    return found


def _digest_of(path: Path) -> Path:
    return path.with_suffix(".sha256")
