"""Data sets and extractors in threads and in other processes, before and after they were used."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_rows import FeatureRows
from image_files import pixels, write_images
from joblib import Parallel, delayed
from torch.utils.data import DataLoader

from robustfeat import dataset
from robustfeat.data import ImageDataset, MemoryImages, StreamedImages
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator

PIXELS = torch.randint(256, (8, 3, 8, 8), generator=generator(9), dtype=torch.uint8)


def decode(row: int) -> np.ndarray:
    return PIXELS[row].permute(1, 2, 0).numpy()


def sets() -> dict[str, ImageDataset]:
    labels = torch.arange(8) % 2
    return {
        "memory": MemoryImages("memory", PIXELS, labels),
        "streamed": StreamedImages("streamed", decode, torch.arange(8), labels, (), 8, "fingerprint"),
    }


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("name", ["memory", "streamed"])
def test_copies_are_the_same(name: str, used: bool, extractor: FeatureExtractor) -> None:
    data = sets()[name]
    if used:
        extractor.transform(data)
    for again in (pickle.loads(pickle.dumps(data)), copy.deepcopy(data)):
        assert again.fingerprint == data.fingerprint
        assert torch.equal(again.pixels(torch.arange(8)), PIXELS)
    other = pickle.loads(pickle.dumps(extractor))
    np.testing.assert_array_equal(other.transform(data), extractor.transform(data))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("name", ["memory", "streamed"])
def test_forked_workers(name: str, used: bool, extractor: FeatureExtractor) -> None:
    data = sets()[name]
    expected = extractor.transform(data)
    loaded = FeatureRows(extractor, data if used else sets()[name])
    workers = {"num_workers": 2, "multiprocessing_context": "fork", "timeout": 60}
    batches = DataLoader(loaded, batch_size=3, generator=generator(1), **workers)  # type: ignore[arg-type]
    found = torch.cat(list(batches))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_threads(extractor: FeatureExtractor) -> None:
    data = sets()["streamed"]
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: extractor.transform(data), range(20)):
            np.testing.assert_allclose(found, extractor.transform(data), atol=1e-5)


@pytest.fixture
def photos(tmp_path: Path) -> ImageDataset:
    """Decoded from files when they are asked for."""
    for name in "ab":
        write_images(tmp_path / name, pixels(4, seed=ord(name)))
    return dataset(tmp_path, in_memory=False)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_spawned_workers(photos: ImageDataset, extractor: FeatureExtractor) -> None:
    expected = extractor.transform(photos)
    workers = {"num_workers": 2, "multiprocessing_context": "spawn", "timeout": 200}
    batches = DataLoader(FeatureRows(extractor, photos), batch_size=3, generator=generator(1), **workers)  # type: ignore[arg-type]
    np.testing.assert_allclose(torch.cat(list(batches)).numpy(), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_joblib(photos: ImageDataset, extractor: FeatureExtractor) -> None:
    expected = extractor.transform(photos)
    parts = [photos.take(slice(0, 3)), photos.take(slice(3, 8))]
    found = Parallel(n_jobs=2)(delayed(extractor.transform)(part) for part in parts)
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)
