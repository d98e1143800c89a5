"""Models of timm by their name: without weights, with cached ones, and offline."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

import robustfeat
import robustfeat.report
from robustfeat.features import hub
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.runtime.errors import OfflineError
from robustfeat.testing import small_network


def same_features(one: FeatureExtractor, two: FeatureExtractor) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize(("name", "width"), [("cnn_tiny", 256), ("resnet18", 512)])
def test_untrained_timm_models(name: str, width: int) -> None:
    one, two = hub.load(f"timm:{name}"), hub.load(f"timm:{name}")
    assert one.card.name == f"timm:{name}"
    assert one.card.head == "none"
    assert one.feature_dim == width
    assert same_features(one, two)
    side, mean = {"resnet18": (224, 0.485), "cnn_tiny": (32, 0.5)}[name]
    assert (one.card.architecture.image_size, one.card.architecture.mean[0]) == (side, mean)


@pytest.mark.parametrize("name", ["resnt18", "resnt18.a1_in1k"])
def test_unknown_timm_architectures(name: str) -> None:
    with pytest.raises(KeyError, match="unknown architecture 'resnt18'; did you mean 'resnet18'"):
        hub.load(f"timm:{name}")


def test_unknown_timm_weights() -> None:
    with pytest.raises(KeyError, match=r"unknown timm weights 'resnet18\.a1_in1'; did you mean 'resnet18\.a1_in1k'"):
        hub.load("timm:resnet18.a1_in1")


@pytest.mark.usefixtures("offline")
def test_timm_weights_that_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the Hub they are taken, unless it was insisted on; what needs no weights needs no Hub."""
    monkeypatch.setattr(hub, "new_network", lambda architecture, pretrained_tag: small_network(0))
    for only in (None, True):
        assert hub.load("timm:resnet18.a1_in1k", local_files_only=only).feature_dim == 256
    with pytest.raises(OfflineError, match=r"cannot be reached for weights 'resnet18\.a1_in1k'"):
        hub.load("timm:resnet18.a1_in1k", local_files_only=False)
    assert hub.load("timm:resnet18", local_files_only=False).feature_dim == 256


@pytest.mark.usefixtures("offline")
def test_timm_weights_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    begin = time.monotonic()
    with pytest.raises(OfflineError, match=r"weights 'resnet18\.a1_in1k' are not in the cache"):
        hub.load("timm:resnet18.a1_in1k")
    assert time.monotonic() - begin < 5
    assert not constants.HF_HUB_OFFLINE


def test_an_untrained_network_says_so(caplog: pytest.LogCaptureFixture) -> None:
    extractor = robustfeat.load("timm:cnn_tiny")
    assert "timm:cnn_tiny is untrained: its weights are random" in caplog.text
    images = robustfeat.dataset("digits", "train[:60]")
    test = robustfeat.dataset("digits", "test[:20]")
    report = robustfeat.evaluate(extractor, ["probe"], images, test, progress=False)
    assert report.warnings() == ("It is untrained: its weights are random.",)
    assert "! timm:cnn_tiny, It is untrained" in robustfeat.report.table(report)
    assert robustfeat.Report.from_dict(report.as_dict()).notes == report.notes
