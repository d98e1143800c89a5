"""Models of timm see photographs as timm shows them, in every way in; what was there before sees them as before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.numpy import load_file
from timm.data import create_transform, resolve_data_config

from robustfeat.backbones import as_timm_sees, timm_config
from robustfeat.backbones.architecture import Architecture, Framing
from robustfeat.command_line.cli import main
from robustfeat.data import MemoryImages, dataset, fit_square
from robustfeat.evaluation import Evaluation
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.recipe import Recipe
from robustfeat.runtime.errors import IntegrityError
from robustfeat.training.roles import completed, start_of, student_of

SIZES = [(200, 150), (150, 201), (160, 160), (97, 333), (401, 77), (64, 64)]


@pytest.fixture(autouse=True)
def _own_generator() -> Iterator[None]:
    """timm draws first weights from the global generator."""
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """JPEGs that are not square, in two classes."""
    random = np.random.default_rng(0)
    for i, (width, height) in enumerate(SIZES):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90)
    return tmp_path / "photos"


def paths(photos: Path) -> list[Path]:
    return sorted(photos.rglob("*.jpg"))


def as_timm_does(extractor: FeatureExtractor, cfg: dict[str, Any], files: list[Path]) -> np.ndarray:
    """Features through timm's own transforms and its model alone."""
    transform: Any = create_transform(**resolve_data_config(pretrained_cfg=cfg), is_training=False)
    images = torch.stack([transform(Image.open(path).convert("RGB")) for path in files])
    model = extractor.network.model
    with torch.no_grad():
        return model.forward_head(model.forward_features(images), pre_logits=True).numpy()


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_byobnet"])
def test_features_are_those_of_timm(name: str, photos: Path) -> None:
    extractor = hub.load(f"timm:{name}")
    cfg = timm.get_pretrained_cfg(name).to_dict()
    expected = as_timm_does(extractor, cfg, paths(photos))
    assert expected.std() > 1e-3
    found = extractor.transform(paths(photos))
    assert np.abs(found - expected).max() <= 1e-3 * max(1, np.abs(expected).max())
    plain = FeatureExtractor(extractor.network, Card("plain", _plain(extractor), extractor.feature_dim))
    assert np.abs(plain.transform(paths(photos)) - expected).max() > 1e-3, "the default would have done as well"


def _plain(extractor: FeatureExtractor) -> Architecture:
    values = {k: v for k, v in vars(extractor.card.architecture).items() if k != "framing"}
    return Architecture(**values)


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "nearest", "lanczos"])
@pytest.mark.parametrize("crop_pct", [0.5, 0.875, 0.95, 1.0, 1.15])
@pytest.mark.parametrize("side", [31, 32])
def test_pixels_are_those_of_timm(mode: str, interpolation: str, crop_pct: float, side: int) -> None:
    options = {"crop_pct": crop_pct, "interpolation": interpolation, "crop_mode": mode, "mean": (0.5, 0.2, 0.7)}
    cfg = timm.get_pretrained_cfg("test_resnet")
    cfg = type(cfg)(**cfg.to_dict() | options | {"input_size": (3, side, side)})
    transform: Any = create_transform(
        **resolve_data_config(pretrained_cfg=cfg.to_dict()), is_training=False, normalize=False
    )
    architecture = as_timm_sees(Architecture("test_resnet"), cfg)
    random = np.random.default_rng(0)
    for width, height in [*SIZES, (31, 32), (20, 33)]:
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        expected = np.asarray(transform(image)).transpose(1, 2, 0)
        assert np.array_equal(np.asarray(fit_square(image, side, architecture.framing)), expected), (width, height)


def test_every_way_in_is_the_same(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """transform, data sets in memory and streamed, the command extract, the index and evaluations."""
    folder = str(tmp_path / "model")
    extractor = hub.load("timm:test_resnet")
    hub.save(folder, extractor.network, extractor.card)
    extractor = hub.load(folder)
    architecture = extractor.card.architecture
    assert architecture.framing is not None
    expected = extractor.transform(paths(photos))
    options = {"image_size": architecture.image_size, "framing": architecture.framing}
    for in_memory in (True, False):
        data = dataset(photos, in_memory=in_memory, **options)  # type: ignore[arg-type]
        np.testing.assert_allclose(extractor.transform(data), expected, atol=1e-5)
    out = str(tmp_path / "features.safetensors")
    assert main(["extract", folder, "--data", str(photos), "--split", "train", "--out", out]) == 0
    np.testing.assert_allclose(load_file(out)["features"], expected, atol=1e-5)
    evaluation = Evaluation(str(photos), train="train", test="train[:1]")
    np.testing.assert_allclose(extractor.transform(evaluation.learnt(architecture)), expected, atol=1e-5)
    index = str(tmp_path / "index")
    assert main(["index", "build", folder, str(photos), "--metric", "l2", "--out", index]) == 0
    capsys.readouterr()
    assert main(["index", "search", index, str(paths(photos)[0]), "--k", "1", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["path"] == str(paths(photos)[0])
    assert found["score"] == pytest.approx(0, abs=1e-4)
    hub.save(folder, extractor.network, Card("plain", _plain(extractor), extractor.feature_dim))
    assert main(["index", "search", index, str(paths(photos)[0])]) == 2
    assert "another extractor" in capsys.readouterr().err


def test_the_card_keeps_the_framing(tmp_path: Path) -> None:
    framing = Framing(0.9, "bilinear", "border", (1, 2, 3))
    framed = Card("m", Architecture("test_resnet", framing=framing), 8)
    text = framed.to_json()
    assert json.loads(text)["architecture"]["framing"]["crop_pct"] == 0.9
    assert Card.from_json(text) == framed
    extractor = hub.load("timm:test_resnet")
    hub.save(tmp_path, extractor.network, extractor.card)
    again = hub.load(tmp_path)
    assert again.card.architecture == extractor.card.architecture
    assert again.digest() == extractor.digest()
    theirs = json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"]
    cfg = timm.get_pretrained_cfg("test_resnet")
    assert (theirs["crop_pct"], theirs["interpolation"]) == (cfg.crop_pct, cfg.interpolation)


def test_cards_without_one_are_what_they_were() -> None:
    card = Card("m", Architecture("test_resnet"), 8)
    values = json.loads(card.to_json())
    assert set(values["architecture"]) == {"name", "stem", "classes", "image_size", "mean", "std"}
    assert Card.from_json(card.to_json()).architecture.framing is None
    printed = (
        "(name='test_resnet', stem='timm', classes=10, image_size=32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))"
    )
    assert repr(card.architecture) == f"Architecture{printed}", "digests of published models are made of this"
    config = json.loads(timm_config(hub.load("timm:test_resnet").network.model, card.architecture))["pretrained_cfg"]
    assert (config["crop_pct"], config["interpolation"], config["crop_mode"]) == (1.0, "bicubic", "center")


@pytest.mark.parametrize(
    "wrong",
    [{"crop_pct": 0}, {"crop_pct": "x"}, {"interpolation": "cubic"}, {"crop_mode": "left"}, {"fill": [1, 2]}, {"x": 1}],
)
def test_damaged_framings_are_refused(wrong: dict[str, object]) -> None:
    values = json.loads(Card("m", Architecture("test_resnet", framing=Framing(0.9)), 8).to_json())
    values["architecture"]["framing"] |= wrong
    with pytest.raises(IntegrityError, match="not a valid card"):
        Card.from_json(json.dumps(values))


def test_the_digest_knows_the_framing() -> None:
    extractor = hub.load("timm:test_resnet")
    found = {
        FeatureExtractor(extractor.network, Card("m", shape, extractor.feature_dim)).digest()
        for shape in (_plain(extractor), extractor.card.architecture)
    }
    assert len(found) == 2


@pytest.mark.parametrize("classes", [4, 1000])
def test_what_is_trained_on_is_framed_as_data_sets_are(classes: int, tmp_path: Path) -> None:
    extractor = hub.load("timm:test_resnet")
    hub.save(tmp_path, extractor.network, extractor.card)
    names = tuple(f"class {i}" for i in range(classes))
    data = MemoryImages("some", torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.arange(4), names)
    recipe = Recipe(data="some", start=str(tmp_path))
    start = start_of(recipe)
    network, _ = student_of(completed(recipe, start, sized=True), data, start)
    assert (network.architecture.classes, network.architecture.framing) == (classes, None)
