"""Thresholds, and fitted tasks on the disk and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from robustfeat.attacks import Threat
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.runtime import sidecar
from robustfeat.runtime.errors import IntegrityError
from robustfeat.tasks import (
    DETECTORS,
    AdversarialProbe,
    AnomalyDetector,
    LinearProbe,
    Mahalanobis,
    Retrieval,
    load_task,
    save_task,
)
from robustfeat.tasks.linear import LinearHead

EMPTY = b"\x08\0\0\0\0\0\0\0{}      "  # safetensors without tensors


def data(n: int = 80, seed: int = 0) -> tuple[Tensor, Tensor]:
    labels = torch.arange(n) % 3
    centres = 3 * torch.randn(3, 6, generator=generator(110))
    return centres[labels] + torch.randn(n, 6, generator=generator(111, seed)), labels


def test_the_false_alarm_rate_is_what_was_asked_for() -> None:
    """On average over held-out sets: exactly floor(rate (n + 1)) / (n + 1) for scores without ties."""
    rates = []
    for seed in range(200):
        x = torch.randn(2049, 3, generator=generator(112, seed))
        detector = Mahalanobis().fit(x[:30]).calibrate(x[30:49], false_alarms=0.1)
        rates.append(float(detector.predict(x[49:]).float().mean()))
    assert sum(rates) / len(rates) == pytest.approx(2 / 20, abs=0.012)


def test_the_threshold_is_between_two_scores() -> None:
    x = torch.randn(50, 3, generator=generator(113))
    held_out = torch.randn(19, 3, generator=generator(114))
    detector = Mahalanobis().fit(x)
    scores = sorted(detector.anomaly(held_out).tolist())
    detector.calibrate(held_out, 0.1)
    assert float(detector.threshold) == scores[-2]  # type: ignore[arg-type]
    assert detector.predict(held_out).sum() == 1


def test_thresholds_that_can_not_be() -> None:
    x = torch.randn(50, 3, generator=generator(115))
    detector = Mahalanobis().fit(x)
    with pytest.raises(RuntimeError, match="has no threshold; call calibrate"):
        detector.predict(x)
    with pytest.raises(RuntimeError, match="call fit first"):
        Mahalanobis().calibrate(x)
    with pytest.raises(
        ValueError, match=r"10 normal examples cannot tell a false-alarm rate of 0\.05; give at least 19"
    ):
        detector.calibrate(x[:10])
    for rate in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match=r"false_alarms must be in \(0, 1\)"):
            detector.calibrate(x, rate)


@pytest.mark.parametrize("name", list(DETECTORS))
def test_every_detector_comes_back(name: str, tmp_path: Path) -> None:
    features, labels = data()
    held_out, _ = data(40, 1)
    detector = DETECTORS[name]().fit(features, labels).calibrate(held_out)
    again = load_task(save_task(detector, tmp_path / "d", extractor="abc"), extractor="abc")
    assert isinstance(again, AnomalyDetector)
    assert type(again) is DETECTORS[name]
    assert again.options() == detector.options()
    assert torch.equal(again.anomaly(held_out), detector.anomaly(held_out))
    assert torch.equal(again.predict(held_out), detector.predict(held_out))


@pytest.mark.parametrize("head", [LinearProbe(0.3), AdversarialProbe(Threat("l2", Eps("128/255")), steps=2)])
def test_every_head_comes_back(head: LinearHead, tmp_path: Path) -> None:
    features, labels = data()
    head.fit(features, labels)
    again = load_task(save_task(head, tmp_path))
    assert isinstance(again, LinearHead)
    assert again.options() == head.options()
    assert torch.equal(again.logits(features), head.logits(features))


def test_what_can_not_be_saved(tmp_path: Path) -> None:
    features, labels = data()
    with pytest.raises(RuntimeError, match="call fit first"):
        save_task(Mahalanobis(), tmp_path)
    with pytest.raises(TypeError, match="save a FeatureIndex"):
        save_task(Retrieval().fit(features, labels), tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_extractor_is_refused(tmp_path: Path) -> None:
    save_task(Mahalanobis().fit(data()[0]), tmp_path, extractor="one")
    with pytest.raises(ValueError, match="fitted on another extractor"):
        load_task(tmp_path, extractor="two")


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    save_task(Mahalanobis().fit(data()[0]), tmp_path, extractor="one")
    random = generator(116)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        for position in torch.randint(len(content), (100,), generator=random).tolist():
            damaged = bytearray(content)
            damaged[position] ^= 1 << int(torch.randint(8, (1,), generator=random))
            path.write_bytes(damaged)
            with pytest.raises((IntegrityError, FileNotFoundError)):
                load_task(tmp_path)
        for length in (0, 1, len(content) // 2, len(content) - 2):
            path.write_bytes(content[:length])
            with pytest.raises(IntegrityError):
                load_task(tmp_path)
        path.write_bytes(content)
    load_task(tmp_path)


def test_a_sidecar_that_means_something_else(tmp_path: Path) -> None:
    """Whole, with right checksums, but by somebody else."""
    for facts in (
        {"task": "mahalanobis", "options": {"shrinkage": -1}},
        {"task": "mahalanobis", "options": {"no such": 1}},
        {"task": "retrieval", "options": {}},
        {"task": "nothing", "options": {}},
        {"options": {}},
        {"task": ["probe"], "options": {}},
    ):
        sidecar.write(tmp_path, "task.json", "safetensors", lambda path: path.write_bytes(EMPTY), facts)
        with pytest.raises(IntegrityError, match="cannot be used"):
            load_task(tmp_path)
    save_task(Mahalanobis().fit(data()[0]), tmp_path)
    facts = json.loads((tmp_path / "task.json").read_text())
    content = (tmp_path / facts["file"]).read_bytes()
    other = {"task": "knn", "options": {}}
    sidecar.write(tmp_path, "task.json", "safetensors", lambda path: path.write_bytes(content), other)
    with pytest.raises(IntegrityError, match=r"for KNN:\s+Unexpected key"):
        load_task(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"holds no task\.json"):
        load_task(tmp_path / "nowhere")


@pytest.mark.parametrize("name", list(DETECTORS))
def test_a_new_fit_forgets_the_threshold(name: str) -> None:
    features, labels = data()
    detector = DETECTORS[name]().fit(features, labels).calibrate(data(40, 1)[0])
    detector.fit(100 + features, labels)
    with pytest.raises(RuntimeError, match="has no threshold"):
        detector.predict(features)


@pytest.mark.parametrize("name", list(DETECTORS))
def test_features_of_another_precision(name: str) -> None:
    features, labels = data()
    detector = DETECTORS[name]().fit(features, labels)
    torch.testing.assert_close(detector.anomaly(features.double()).float(), detector.anomaly(features))
    with pytest.raises(ValueError, match="float tensor"):
        detector.anomaly(features.long())
