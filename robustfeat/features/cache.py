"""The cache of computed features: one file per model and data set, found by the digests of both."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from robustfeat.data import ImageDataset
from robustfeat.features.extraction import extract
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.runtime import sidecar
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.parallel import rank, wait_for_all

log = logging.getLogger(__name__)


def cached_features(
    extractor: FeatureExtractor,
    data: ImageDataset,
    folder: str | os.PathLike[str] | None,
    *,
    progress: bool = False,
) -> np.ndarray:
    """Return `extractor.transform(data)` from the cache, or compute and store it.

    A file is found by the digest of the weights and the fingerprint of the data, and its sha256 is verified; the features of a
    damaged file are computed again. With several processes the first one writes and all read.

    Args:
        extractor: the feature extractor.
        data: the images.
        folder: the folder of the cache; None disables the cache.
        progress: whether to show a progress bar.

    Returns:
        Features (n, d), float32.
    """
    if folder is None:
        return extractor.transform(data, progress=progress)
    key = hashlib.sha256(f"{extractor.digest()} {data.fingerprint}".encode()).hexdigest()[:32]
    root, name = Path(folder), f"{key}.json"
    if rank() == 0:
        _ensure(root, name, extractor, data, progress)
    wait_for_all()  # every process must see the same features
    return _read(root, name, len(data), extractor.feature_dim)


def _ensure(root: Path, name: str, extractor: FeatureExtractor, data: ImageDataset, progress: bool) -> None:
    """Ensure that the file exists and is intact."""
    try:
        _read(root, name, len(data), extractor.feature_dim)
        return
    except FileNotFoundError:
        pass
    except IntegrityError as error:
        log.warning("%s; computing the features again", error)

    def save(path: Path) -> None:
        extract(extractor, data, path.with_suffix(".safetensors"), progress=progress).replace(path)

    sidecar.write(root, name, "safetensors", save, {"n": len(data), "feature_dim": extractor.feature_dim})


def _read(root: Path, name: str, n: int, dim: int) -> np.ndarray:
    path = sidecar.file(root, sidecar.read(root, name))
    try:
        found = load_file(path)["features"]
    except (OSError, SafetensorError, KeyError) as error:
        raise IntegrityError(f"{str(path)!r} cannot be read: {error}") from error
    if found.shape != (n, dim):
        raise IntegrityError(f"{str(path)!r} holds features {found.shape} instead of {(n, dim)}")
    return found
