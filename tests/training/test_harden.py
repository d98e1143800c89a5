"""Hardening: features that stay put under attack, in the space of the original, learnt from images without labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from patterns import images
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import robustfeat
from robustfeat.attacks import PGD, Threat
from robustfeat.command_line.cli import main
from robustfeat.data import ImageDataset, MemoryImages
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.objectives import GACD, AdaAD, AdversarialTraining
from robustfeat.testing import small_network
from robustfeat.training.hardening import harden

EPS = "32/255"  # what moves the features of a tiny network on blurred patterns
FAST: dict[str, Any] = {
    "eps": EPS,
    "max_steps": 60,
    "batch_size": 32,
    "ema": 0.9,
    "crop": 0,
    "eval_images": 20,
    "eval_steps": 3,
}
TEST = images(40, 44).pixels(torch.arange(40)).float() / 255


def unlabelled(n: int, seed: int) -> MemoryImages:
    return MemoryImages("photos", images(n, seed).pixels(torch.arange(n)), None)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that tells the patterns apart, trained without attacks."""
    recipe = robustfeat.Recipe(
        data="patterns", student="cnn_tiny", stem="timm", max_steps=120, batch_size=32, lr=0.2, crop=0, eval_images=20
    )
    return str(robustfeat.train("natural", recipe, tmp_path_factory.mktemp("o"), data=images(160, 42), quiet=True))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat folder; the names of its files have the name of a split in them."""
    folder = tmp_path_factory.mktemp("photos")
    for i, image in enumerate(images(160, 45).pixels(torch.arange(160)).permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(folder / f"val_{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def hardened(original: str, tmp_path_factory: pytest.TempPathFactory) -> FeatureExtractor:
    out = tmp_path_factory.mktemp("h")
    return robustfeat.load(harden(original, unlabelled(160, 45), out, quiet=True, **FAST))


def cosines(extractor: FeatureExtractor, attacked: bool, anchors: Tensor) -> Tensor:
    """The cosine of each test image's features to its anchor; attacked to make it small."""

    def distance(x: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(extractor(x), anchors)

    x = TEST
    if attacked:
        x = PGD(threat=Threat("linf", Eps(EPS)), steps=20)(distance, x, generator=generator(3))
    with torch.no_grad():
        return 1 - distance(x)


def test_features_stay_put_in_the_space_of_the_original(original: str, hardened: FeatureExtractor) -> None:
    before = robustfeat.load(original)
    with torch.no_grad():
        anchors = before(TEST)
    assert cosines(hardened, False, anchors).mean() > 0.9
    assert cosines(hardened, True, anchors).mean() > cosines(before, True, anchors).mean() + 0.1


def test_the_card_says_all(original: str, hardened: FeatureExtractor) -> None:
    before, card = robustfeat.load(original), hardened.card
    assert card.compatible_with == before.digest()
    assert card.start == card.teacher
    assert card.architecture == before.card.architecture
    assert (card.threat, card.head, card.classes) == (f"linf {EPS}", "teacher", before.card.classes)
    for ours, theirs in zip(hardened.network.head.parameters(), before.network.head.parameters(), strict=True):
        assert torch.equal(ours, theirs), "nobody has trained the head"
    readme = card.readme()
    assert "mean cosine to the teacher's clean" in readme


def test_weights_are_chosen_by_the_cosine_on_held_out_images(original: str, tmp_path: Path) -> None:
    data = unlabelled(100, 46)
    best = harden(
        original, data, tmp_path, quiet=True, **FAST | {"max_steps": 12, "eval_minutes": None, "eval_epochs": 1}
    )
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    measured = [line for line in lines if "cosine_robust" in line]
    assert len(measured) > 2
    chosen = max(measured, key=lambda line: (line["cosine_robust"], line["cosine_clean"]))
    training = hub.read_card(best).training
    assert (training.step, training.cosine_robust) == (chosen["step"], chosen["cosine_robust"])
    held_out = data.take(torch.arange(90, 100))
    extractor = robustfeat.load(best)
    pixels = held_out.pixels(torch.arange(10)).float() / 255
    with torch.no_grad():
        expected = F.cosine_similarity(extractor(pixels), robustfeat.load(original)(pixels)).mean()
    assert training.cosine_clean == pytest.approx(float(expected), abs=1e-5)
    assert training.held_out_clean is None


@pytest.mark.parametrize("kind", ["network", "extractor"])
@pytest.mark.parametrize("objective", ["fare", "gacd"])
def test_objects_and_both_objectives(kind: str, objective: str, original: str, tmp_path: Path) -> None:
    extractor = robustfeat.load(original)
    model = extractor if kind == "extractor" else extractor.network
    best = harden(model, unlabelled(60, 47), tmp_path, objective=objective, quiet=True, **FAST | {"max_steps": 2})
    assert hub.read_card(best).compatible_with == extractor.digest()


@pytest.mark.parametrize("labels", ["the model's", "others"])
def test_labels_are_used_where_there_are_some(labels: str, original: str, tmp_path: Path) -> None:
    data: ImageDataset = images(80, 48, classes=4 if labels == "the model's" else 3)
    best = harden(original, data, tmp_path, quiet=True, **FAST | {"max_steps": 2})
    card = hub.read_card(best)
    assert card.compatible_with == robustfeat.load(original).digest()
    assert card.training.held_out_clean is not None
    assert card.architecture.classes == (4 if labels == "the model's" else 3)


def test_another_size_is_compatible_with_the_original_at_that_size(original: str, tmp_path: Path) -> None:
    pixels = F.interpolate(unlabelled(60, 49).pixels(torch.arange(60)), scale_factor=2)
    best = harden(original, MemoryImages("large", pixels, None), tmp_path, quiet=True, **FAST | {"max_steps": 1})
    card = hub.read_card(best)
    assert card.architecture.image_size == 16
    assert card.compatible_with == robustfeat.load(original, image_size=16).digest()


def test_photographs_are_framed_as_the_original_frames_them(tmp_path: Path) -> None:
    data = MemoryImages("large", torch.randint(256, (40, 3, 32, 32), generator=generator(1)).byte(), None)
    best = harden("timm:test_resnet", data, tmp_path, quiet=True, **FAST | {"max_steps": 1})
    before, after = robustfeat.load("timm:test_resnet", image_size=32), robustfeat.load(best)
    assert before.card.architecture.framing is not None
    assert after.card.architecture == before.card.architecture
    # Its weights are drawn anew with each load, so that nothing but the object itself has its digest.
    assert after.card.compatible_with is not None


def test_others_are_not_compatible(original: str, tmp_path: Path) -> None:
    """A student of another start, or of an objective with a space of its own."""
    network = small_network(3)
    other = FeatureExtractor(network, Card("other", network.architecture, network.feature_dim))
    data = images(60, 50)
    recipe = robustfeat.Recipe(max_steps=1, batch_size=32, crop=0, eval_images=10, eval_steps=1)
    best = robustfeat.train("crd", recipe, tmp_path / "crd", data=data, student=other, teacher=other, quiet=True)
    assert hub.read_card(best).compatible_with is None
    moved = small_network(4)
    best = robustfeat.train("fare", recipe, tmp_path / "fare", data=data, student=moved, teacher=other, quiet=True)
    assert hub.read_card(best).compatible_with is None


@pytest.mark.parametrize("objective", [AdaAD(), GACD(igdm=1.0), AdversarialTraining()])
def test_what_makes_no_copy_robust_is_refused(objective: Any, original: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"attacked image|under attack"):
        harden(original, unlabelled(60, 51), tmp_path, objective=objective, quiet=True, **FAST)
    assert not (tmp_path / "log.jsonl").exists()


def test_mistakes(original: str, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="fare"):
        harden(original, unlabelled(60, 51), tmp_path, objective="fair", quiet=True)
    mapped = GACD(weight="none", guide=0.0, teacher_map="fixed", map_dim=16)
    with pytest.raises(ValueError, match="'gacd' gives the student a feature space of its own"):
        harden(original, unlabelled(60, 51), tmp_path, objective=mapped, quiet=True)
    with pytest.raises(ValueError, match="start follow"):
        harden(original, unlabelled(60, 51), tmp_path, start="gacd-resnet18", quiet=True)


def test_the_command_on_a_folder_and_its_index(
    original: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {key: str(value) for key, value in FAST.items() if key != "eps"} | {"max_steps": "3"}
    options = [word for key, value in words.items() for word in (f"--{key}", value)]
    out, index = str(tmp_path / "out"), str(tmp_path / "index")
    assert main(["harden", original, "--data", str(photos), "--eps", EPS, "--out", out, *options, "--json"]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    assert found["compatible_with"] == robustfeat.load(original).digest()
    assert found["training"]["cosine_robust"] > 0
    first, *rest = output.err.splitlines()
    assert first == f"harden: reading {original} and {photos}"
    assert rest[0].startswith(
        "144 images of 8x8 to train on, 16 to choose the best weights by; fare at linf 32/255, 2 steps"
    )
    assert "steps a minute on cpu: 3 steps in" in rest[1]
    assert "MiB of memory" in rest[2]
    assert main(["index", "build", original, str(photos), "--out", index]) == 0
    query = str(photos / "val_007.png")
    capsys.readouterr()
    assert main(["index", "search", index, query, "--model", out, "--k", "1"]) == 0
    assert capsys.readouterr().out.split()[-1] == query
    assert main(["index", "add", index, str(photos), "--model", out]) != 0
