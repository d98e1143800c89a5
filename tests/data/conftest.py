"""Every test here has caches of its own and no data of the machine it runs on."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest
from huggingface_hub import constants
from image_files import pixels, write_images

from robustfeat.data.sources import fashion_mnist


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(cache / "assets"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", cache / "none")
    monkeypatch.delenv("ROBUSTFEAT_DATA", raising=False)


@pytest.fixture
def by_class(tmp_path: Path) -> Path:
    """Three images of class cat, then two of class dog."""
    write_images(tmp_path / "pets" / "cat", pixels(3, seed=1))
    write_images(tmp_path / "pets" / "dog", pixels(2, seed=2))
    return tmp_path / "pets"
