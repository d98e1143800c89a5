"""Models, images and config files for the command line, which runs offline."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import datasets
import jaxtyping
import numpy as np
import pytest
from datasets import ClassLabel, Features
from huggingface_hub import constants
from PIL import Image

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.testing import small_network


@pytest.fixture(autouse=True)
def _as_installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Offline, with caches of its own, and without the shape checks of the tests, which would speak first."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("ROBUSTFEAT_DATA", raising=False)
    level = logging.getLogger("robustfeat").level
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
    logging.getLogger("robustfeat").setLevel(level)


def write_model(folder: Path, classes: int) -> Path:
    network = small_network(0, classes=classes)
    hub.save(folder, network, Card(folder.name, network.architecture, network.feature_dim))
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models ten/, four/, damaged/; images plain/ without labels; one.parquet with one of its two classes; config files."""
    folder = tmp_path_factory.mktemp("world")
    write_model(folder / "ten", 10)
    write_model(folder / "four", 4)
    weights = write_model(folder / "damaged", 10) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    random = np.random.default_rng(0)
    images = [Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(8)]
    (folder / "plain").mkdir()
    for i, image in enumerate(images):
        image.save(folder / "plain" / f"{i}.png")
    features = Features({"img": datasets.Image(), "label": ClassLabel(names=["x", "y"])})
    table = datasets.Dataset.from_dict({"img": images, "label": [0] * 8}, features=features)
    table.to_parquet(str(folder / "one.parquet"))
    trap = folder / "trap"
    (folder / "evil.yaml").write_text(f"lr: !!python/object/apply:os.mkdir ['{trap}']\n")
    (folder / "evil2.yaml").write_text(f"lr: !!python/object/new:os.system ['mkdir {trap}']\n")
    (folder / "broken.yaml").write_text("lr: [1, 2\n")
    (folder / "foreign.yaml").write_text("learning_rate: 1\n")
    return folder
