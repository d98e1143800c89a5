"""A folder that `save` wrote, in timm: the same logits, alone where timm can build the model, else with one entry point."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hub_server
import pytest
import timm
import torch
from hub_handler import TOKEN
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from robustfeat.backbones.architecture import Architecture, Stem
from robustfeat.backbones.network import new_network
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.numerics.random import generator
from robustfeat.publishing.exported import export
from robustfeat.publishing.hub_upload import push

MODELS: list[tuple[str, Stem, int, bool]] = [  # architecture, stem, side, whether timm alone can build it
    ("test_resnet", "timm", 32, True),
    ("test_resnet", "small", 32, False),
    ("test_resnet", "cifar", 16, False),
    ("test_vit", "timm", 32, True),
    ("test_vit", "cifar", 16, True),
    ("test_efficientnet", "cifar", 32, False),
    ("mobilenetv2_050", "timm", 64, True),
    ("cnn_tiny", "timm", 8, False),
    ("resnet_tiny", "timm", 8, False),
    ("wrn_16_2", "timm", 16, False),
]
IDS = [f"{name}-{stem}" for name, stem, *_ in MODELS]


@pytest.fixture(autouse=True)
def _own_generator() -> Iterator[None]:
    """timm draws first weights from the global generator."""
    with torch.random.fork_rng(devices=[]):
        yield


def saved(folder: Path, name: str, stem: Stem, side: int, *, half: bool = False) -> Path:
    """A model whose every weight and running statistic is drawn, with a normalisation of its own."""
    network, random = new_network(Architecture(name, stem, 7, side, (0.1, 0.5, 0.9), (0.2, 0.3, 0.4))), generator(1)
    with torch.no_grad():
        for value in network.model.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=random) * 0.05)
    classes = tuple("abcdefg")
    hub.save(folder, network, Card("x", network.architecture, network.feature_dim, classes=classes), half=half)
    return folder


def images(side: int) -> Tensor:
    return torch.rand(3, 3, side, side, generator=generator(0))


def logits(model: nn.Module, folder: Path) -> Tensor:
    """Of images that are normalised as the config says."""
    values = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    mean, std = (torch.tensor(values[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        return model.eval()((images(values["input_size"][-1]) - mean) / std)


def ours(folder: Path) -> Tensor:
    extractor = hub.load(folder)
    with torch.no_grad():
        return extractor.network(images(extractor.card.architecture.image_size)).logits


@pytest.mark.parametrize(("name", "stem", "side", "alone"), MODELS, ids=IDS)
@pytest.mark.parametrize("half", [False, True], ids=["single", "half"])
def test_the_logits_are_the_same(tmp_path: Path, name: str, stem: Stem, side: int, alone: bool, half: bool) -> None:
    folder = saved(tmp_path, name, stem, side, half=half)
    config = json.loads((folder / "config.json").read_text())
    assert config["architecture"] == (name if alone else "robustfeat")
    assert (config["num_classes"], config["label_names"]) == (7, list("abcdefg"))
    assert config["num_features"] == hub.load(folder).feature_dim
    model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    expected = ours(folder)
    assert expected.std() > 1e-3
    assert (logits(model, folder) - expected).abs().max() <= 1e-6 * max(1, expected.abs().max())
    untrained = timm.create_model(f"local-dir:{folder}")
    assert (logits(untrained, folder) - expected).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "stem"), [("test_resnet", "timm"), ("test_resnet", "cifar"), ("cnn_tiny", "timm")])
def test_timm_adapts_the_head(tmp_path: Path, name: str, stem: Stem) -> None:
    folder = saved(tmp_path, name, stem, 32)
    model: Any = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=3)
    assert model.get_classifier().out_features == 3
    loaded, stored = model.state_dict(), load_file(folder / "model.safetensors")
    assert {key for key, value in stored.items() if not torch.equal(value, loaded[key])} == {"fc.weight", "fc.bias"}


def test_the_transforms_of_timm_are_ours(tmp_path: Path) -> None:
    folder = saved(tmp_path, "test_resnet", "cifar", 32)
    data = timm.data.resolve_model_data_config(timm.create_model(f"local-dir:{folder}"))
    assert [list(data[key]) for key in ("input_size", "mean", "std")] == [[3, 32, 32], [0.1, 0.5, 0.9], [0.2, 0.3, 0.4]]
    assert (data["interpolation"], data["crop_pct"], data["crop_mode"]) == ("bicubic", 1.0, "center")


ALONE = """
import sys, timm, torch
from safetensors.torch import load_file
kept = load_file(sys.argv[2])
model = timm.create_model("local-dir:" + sys.argv[1], pretrained=True).eval()
with torch.no_grad():
    gap = (model(kept["images"]) - kept["logits"]).abs().max()
assert "robustfeat" not in sys.modules
print(float(gap))
"""


def test_without_this_package(tmp_path: Path) -> None:
    folder = saved(tmp_path / "vit", "test_vit", "cifar", 16)
    card = hub.read_card(folder)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (card.architecture.mean, card.architecture.std))
    save_file({"images": (images(16) - mean) / std, "logits": ours(folder)}, tmp_path / "kept.safetensors")
    command = [sys.executable, "-c", ALONE, str(folder), str(tmp_path / "kept.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 1e-6


@pytest.mark.parametrize(("name", "stem"), [("test_resnet", "timm"), ("test_resnet", "cifar")])
def test_from_the_hub(tmp_path: Path, name: str, stem: Stem, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "model", name, stem, 32)
    with hub_server.running(monkeypatch, tmp_path):
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        pushed = push(folder, "org/repo")
        for name in ("hf-hub:org/repo", f"hf-hub:org/repo@{pushed.commit}"):
            model = timm.create_model(name, pretrained=True)
            assert (logits(model, folder) - ours(folder)).abs().max() <= 1e-6


def test_the_entry_point_alone_says_what_it_is_for() -> None:
    with pytest.raises(ValueError, match="'robustfeat' builds RGB models from a folder's config"):
        timm.create_model("robustfeat")
    with pytest.raises(ValueError, match="builds RGB models from a folder"):
        hub.load("timm:robustfeat")


def test_timm_does_not_read_parts_and_does_not_pretend_to(tmp_path: Path) -> None:
    """Written to one file again, they load."""
    folder = saved(tmp_path / "whole", "test_resnet", "timm", 32)
    export(folder, tmp_path / "parts", max_shard_size=100_000)
    assert len(list((tmp_path / "parts").glob("model-*.safetensors"))) > 1
    with pytest.raises(RuntimeError, match="Missing key"):
        timm.create_model(f"local-dir:{tmp_path / 'parts'}", pretrained=True)
    export(tmp_path / "parts", tmp_path / "again")
    model = timm.create_model(f"local-dir:{tmp_path / 'again'}", pretrained=True)
    assert (logits(model, folder) - ours(folder)).abs().max() <= 1e-6
