"""The fixture of a card: features of two synthetic images, by which another model is noticed."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from robustfeat.features import hub
from robustfeat.publishing import same_features
from robustfeat.publishing.fixture import fixture_images
from robustfeat.publishing.publication import publish
from robustfeat.report import Report


def test_the_fixture_is_the_features_of_the_formula(model: Path, report: Report) -> None:
    """Image by image and by hand, in double precision."""
    card = publish(model, [report])
    images = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    for k in range(2):
        for c in range(3):
            for y in range(8):
                for x in range(8):
                    wave = math.sin(2 * math.pi * ((k + 1) * x + (c + 1) * y) / 8 + c + 0.3)
                    images[k, c, y, x] = round(127.5 * (wave + 1)) / 255
    assert torch.allclose(fixture_images(8).double(), images, atol=1e-7, rtol=0)
    network = hub.load(model).network.double()
    with torch.no_grad():
        maps = network.model.forward_features((images - network.mean) / network.std)
        features = network.model.forward_head(maps, pre_logits=True)
    for i in range(2):
        expected = features[i][list(card.fixture.positions)]
        assert card.fixture.features[i] == pytest.approx(expected.tolist(), rel=1e-6, abs=1e-6)
        assert card.fixture.norms[i] == pytest.approx(math.sqrt(sum(v * v for v in features[i].tolist())), rel=1e-6)
    assert len(set(card.fixture.positions)) == 16


def test_the_fixture_is_compared_in_double_precision(
    model: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read back as float32, the same features would be 1e-8 off."""
    publish(model, [report])
    monkeypatch.setattr("robustfeat.publishing.fixture.EXACT", 1e-12)
    assert same_features(hub.load(model))


def test_same_features_sees_another_model(model: Path, report: Report) -> None:
    publish(model, [report])
    extractor = hub.load(model)
    assert same_features(extractor)
    with torch.no_grad():
        extractor.network.model.get_parameter("body.0.weight").mul_(1 + 2e-5)  # seen in double precision only
    assert not same_features(extractor)
    extractor = hub.load(model)
    extractor.network.mean += 1e-4  # the normalisation is part of it
    assert not same_features(extractor)
    for cut in ({"norms": (1.0, 1.0)}, {"positions": tuple(range(16))}):
        extractor = hub.load(model)
        extractor.card = dataclasses.replace(extractor.card, fixture=dataclasses.replace(extractor.card.fixture, **cut))
        assert not same_features(extractor)
    extractor.card = dataclasses.replace(extractor.card, fixture=None)
    with pytest.raises(ValueError, match="holds no features to compare with"):
        same_features(extractor)


@pytest.mark.parametrize("side", [8, 28, 32, 64, 224])
def test_no_value_of_the_images_is_decided_by_rounding(side: int) -> None:
    """Of another processor's sine: every value before rounding is far from the middle between two steps."""
    values = fixture_images(side).double() * 255
    assert (values - values.round()).abs().max() < 1e-4
    axis = torch.arange(side, dtype=torch.float64) / side
    y, x = axis[:, None], axis[None]
    for k in (1, 2):
        for c in range(3):
            exact = 127.5 * (torch.sin(2 * math.pi * (k * x + (c + 1) * y) + c + 0.3) + 1)
            assert ((exact - exact.floor()) - 0.5).abs().min() > 1e-9
