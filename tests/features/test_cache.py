"""Features that are kept: the same as computed, found again, and never wrong."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features.cache import cached_features
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator
from robustfeat.runtime import sidecar


def data(seed: int = 0, n: int = 20) -> MemoryImages:
    images = torch.randint(256, (n, 3, 8, 8), generator=generator(100, seed)).byte()
    return MemoryImages("noise", images, torch.arange(n) % 4)


def test_it_is_computed_once(extractor: FeatureExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_features(extractor, data(), tmp_path)
    np.testing.assert_allclose(first, extractor.transform(data()), atol=1e-6)
    monkeypatch.setattr(FeatureExtractor, "transform_batch", None)  # nothing can be computed any more
    assert np.array_equal(cached_features(extractor, data(), tmp_path), first)


def test_another_model_or_data_set_is_another_file(extractor: FeatureExtractor, tmp_path: Path) -> None:
    first = cached_features(extractor, data(), tmp_path)
    assert not np.array_equal(cached_features(extractor, data(1), tmp_path), first)
    with torch.no_grad():
        extractor.network.model.body[0].weight.mul_(1.5)
    assert not np.array_equal(cached_features(extractor, data(), tmp_path), first)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3


@pytest.mark.parametrize("harm", ["flip", "truncate", "no digest"])
def test_a_damaged_file_is_computed_again(
    extractor: FeatureExtractor, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = cached_features(extractor, data(), tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[-5] ^= 1
        path.write_bytes(content)
    elif harm == "truncate":
        path.write_bytes(content[:-8])
    else:
        next(tmp_path.glob("*.json")).write_text("{}")
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(cached_features(extractor, data(), tmp_path), first)
    assert "computing the features again" in caplog.text
    assert np.array_equal(cached_features(extractor, data(), tmp_path), first)


def test_an_evaluation_is_the_same_with_it(extractor: FeatureExtractor, tmp_path: Path) -> None:
    reports = [
        evaluate(extractor, ["probe"], data(), data(1), cache=folder, progress=False, examined=0)
        for folder in (None, tmp_path, tmp_path)
    ]
    values = [[(row.metric, row.value) for row in report.rows] for report in reports]
    assert values[0] == values[1] == values[2]


def test_writers_at_once_leave_one_whole_file(extractor: FeatureExtractor, tmp_path: Path) -> None:
    """Each has computed features of its own, as on machines that round differently; what is read is those of one of them."""
    name = "features.json"

    def write(number: int) -> None:
        for step in range(20):
            content = bytes([number, step]) * 1000
            sidecar.write(
                tmp_path, name, "bin", lambda path, c=content: path.write_bytes(c), {"number": number, "step": step}
            )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    facts = sidecar.read(tmp_path, name)
    assert sidecar.file(tmp_path, facts).read_bytes() == bytes([facts["number"], facts["step"]]) * 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, facts["file"]])
