"""PatchCore end to end, on images with a defect: found, located, attacked, by name and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mvtec_folder import SIDE as PART_SIDE
from mvtec_folder import write_mvtec
from torch import Tensor

from robustfeat.attacks import PGD, Threat
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.command_line.cli import main
from robustfeat.data import MemoryImages, dataset
from robustfeat.evaluation import evaluate
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.patches import PatchExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import OneClass, OutOfDistribution, PatchCore, aupro, named, pixel_auroc
from robustfeat.tasks.metrics.ranking import auroc
from robustfeat.testing import small_network

SIDE = 16


def stripes(n: int, seed: int, defects: bool) -> tuple[MemoryImages, Tensor]:
    """Grey stripes with noise; every other image has a bright square of 4x4 pixels if there are defects. And the masks."""
    random = generator(seed)
    phase = 6.28 * torch.rand(n, 1, 1, 1, generator=random)
    grey = 0.4 + 0.1 * torch.sin(torch.arange(SIDE) * 1.2 + phase).expand(n, 3, SIDE, SIDE)
    grey = grey + 0.02 * torch.randn(grey.shape, generator=random)
    masks = torch.zeros(n, SIDE, SIDE, dtype=torch.bool)
    for i in range(1, n, 2) if defects else ():
        row, column = torch.randint(SIDE - 3, (2,), generator=random).tolist()
        masks[i, row : row + 4, column : column + 4] = True
    pixels = (grey + 0.3 * masks[:, None]).clamp(0, 1).mul(255).round().byte()
    return MemoryImages("stripes", pixels, masks.any(dim=2).any(dim=1).long()), masks


@pytest.fixture(params=["cnn_tiny", "resnet_tiny"])
def patch_extractor(request: pytest.FixtureRequest) -> PatchExtractor:
    network = new_network(Architecture(request.param, classes=2, image_size=SIDE), seed=1)
    return PatchExtractor(FeatureExtractor(network, Card(request.param, network.architecture, network.feature_dim)))


def test_the_defect_is_found_and_located(patch_extractor: PatchExtractor) -> None:
    normal, _ = stripes(24, 0, defects=False)
    test, masks = stripes(20, 1, defects=True)
    task = PatchCore(grid=patch_extractor.grid).fit(torch.from_numpy(patch_extractor.transform(normal)))
    features = torch.from_numpy(patch_extractor.transform(test))
    located = task.anomaly_map(features, SIDE)
    assert auroc(task.anomaly(features), test.require_labels() == 1) > 0.95
    assert pixel_auroc(located, masks) > 0.95
    assert aupro(located, masks) > 0.8
    hottest = located[1::2].flatten(1).argmax(dim=1)
    nearby = torch.nn.functional.max_pool2d(masks[1::2].float(), 5, stride=1, padding=2)
    assert nearby.flatten(1)[torch.arange(10), hottest].all(), "not within two pixels of the defect"


def test_under_attack_end_to_end(patch_extractor: PatchExtractor) -> None:
    """`evaluate` tells the grid; PGD moves what the detector says, and the map with it."""
    normal, _ = stripes(24, 0, defects=False)
    test, _ = stripes(16, 1, defects=True)
    attack = PGD(threat=Threat("linf", Eps("32/255")), steps=10)
    task = PatchCore()
    report = evaluate(patch_extractor, [task], normal, test, [attack], examined=0, progress=False)
    assert task.memory.shape[1] == patch_extractor.grid[0]
    assert task.shape.tolist() == list(patch_extractor.grid)
    given = PatchCore(grid=patch_extractor.grid).fit(torch.from_numpy(patch_extractor.transform(normal)))
    assert torch.equal(given.memory, task.memory)
    clean, attacked = (report.value("patchcore", "auroc", name) for name in ("none", "pgd"))
    assert clean > 0.95
    assert attacked < 0.5


def test_by_name_for_every_wrapper(patch_extractor: PatchExtractor) -> None:
    normal, _ = stripes(24, 0, defects=False)
    normal.labels = torch.arange(24) % 2
    test, _ = stripes(10, 1, defects=True)
    for name in ("anomaly:patchcore", "ood:patchcore"):
        task = named(name)
        assert isinstance(task, OneClass | OutOfDistribution)
        assert task.fit_on(patch_extractor, normal, torch.from_numpy(patch_extractor.transform(normal))) is task
        fitted = task.detectors_["1"] if isinstance(task, OneClass) else task.detector
        assert isinstance(fitted, PatchCore)
        assert fitted.shape.tolist() == list(patch_extractor.grid)
        assert "grid=None" in repr(task.detector), "what was told is not an option"
        # Through another extractor, on pooled features, it is told again.
        plain = FeatureExtractor(patch_extractor.network, patch_extractor.card)
        task.fit_on(plain, normal, torch.from_numpy(plain.transform(normal)))
        fitted = task.detectors_["1"] if isinstance(task, OneClass) else task.detector
        assert isinstance(fitted, PatchCore)
        assert fitted.shape.tolist() == [plain.network.feature_dim, 1, 1]
    report = evaluate(patch_extractor, ["anomaly:patchcore"], normal, test, progress=False)
    assert report.value("anomaly:patchcore", "auroc", "none") >= 0


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = small_network(0, classes=10)
    hub.save(tmp_path / "m", network, Card("m", network.architecture, network.feature_dim))
    command = [
        "evaluate",
        str(tmp_path / "m"),
        "--data",
        "digits",
        "--train",
        "train[:60]",
        "--limit",
        "20",
        "--patches",
        "--json",
    ]
    assert main([*command, "--task", "anomaly:patchcore"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"].startswith("m["), "the layers are part of the name"
    assert {row["task"] for row in found["rows"]} == {"anomaly:patchcore"}


def test_an_industrial_set_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its masks become pixel metrics, clean; under attack these are not reported, since nothing attacks them."""
    folder = write_mvtec(tmp_path / "part", per_class=4)
    network = new_network(Architecture("resnet_tiny", classes=2, image_size=PART_SIDE), seed=1)
    hub.save(tmp_path / "m", network, Card("m", network.architecture, network.feature_dim))
    command = ["evaluate", str(tmp_path / "m"), "--data", str(folder), "--task", "ood:patchcore", "--json"]
    assert main([*command, "--patches", "--attack", "fgsm", "--eps", "8/255", "--examined", "0"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    located = {row["metric"]: row for row in rows if row["metric"] in ("pixel-auroc", "aupro")}
    assert [(row["task"], row["attack"], row["n"]) for row in located.values()] == [("ood:patchcore", "none", 12)] * 2
    assert {row["attack"] for row in rows} >= {"none", "fgsm"}
    extractor = PatchExtractor(FeatureExtractor(network, Card("m", network.architecture, network.feature_dim)))
    train, test = dataset(folder, "train"), dataset(folder, "test")
    assert test.masks is not None
    task = PatchCore(grid=extractor.grid).fit(torch.from_numpy(extractor.transform(train)))
    maps = task.anomaly_map(torch.from_numpy(extractor.transform(test)), PART_SIDE)
    for name, value in (("pixel-auroc", pixel_auroc(maps, test.masks)), ("aupro", aupro(maps, test.masks))):
        assert located[name]["value"] == pytest.approx(value, abs=1e-4)
        assert located[name]["low"] <= value <= located[name]["high"]
    assert located["pixel-auroc"]["value"] > 0.9
    # Pooled features tell no places, and a report has no row of them.
    assert main(command) == 0
    assert "pixel-auroc" not in capsys.readouterr().out
