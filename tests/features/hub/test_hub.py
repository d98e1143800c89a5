"""Models on the disk: what is saved is what is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from trained_network import trained

from robustfeat.features import hub, shipped
from robustfeat.features.card import Card
from robustfeat.features.parts import Weights
from robustfeat.numerics.random import generator
from robustfeat.runtime.files import sha256
from robustfeat.testing import small_network


def images() -> torch.Tensor:
    return torch.rand(5, 3, 8, 8, generator=generator(0))


def test_load_gives_what_was_saved(saved: Path) -> None:
    network = trained().eval()
    loaded = hub.load(saved)
    for (name, one), (other, two) in zip(
        network.state_dict().items(), loaded.network.state_dict().items(), strict=True
    ):
        assert name == other
        assert torch.equal(one, two)
    with torch.no_grad():
        assert torch.equal(loaded(images()), network.features(images()))
        assert torch.equal(loaded.network(images()).logits, network(images()).logits)
    assert not any(module.training for module in loaded.modules())
    assert loaded.feature_dim == 256


def test_the_card_comes_back(saved: Path) -> None:
    card = hub.load(saved).card
    file = saved / "model.safetensors"
    assert card.weights == Weights(file.name, file.stat().st_size, sha256(file), "float32")
    assert json.loads((saved / "card.json").read_text())["weights"] == {
        "file": "model.safetensors",
        "bytes": file.stat().st_size,
        "sha256": sha256(file),
        "dtype": "float32",
    }
    assert Card.from_json(card.to_json()) == card
    assert card.recipe is not None
    assert (card.recipe.eps, card.recipe.step_size) == (4 / 255, 0.01)
    assert card.versions.keys() == {"torch", "timm", "accelerate"}
    assert 'robustfeat.load("tiny")' in (saved / "README.md").read_text()


def test_half_precision_halves_the_file(tmp_path: Path, saved: Path) -> None:
    network = small_network(0)
    hub.save(tmp_path, network, Card("half", network.architecture, network.feature_dim), half=True)
    ratio = (tmp_path / "model.safetensors").stat().st_size / (saved / "model.safetensors").stat().st_size
    assert 0.45 < ratio < 0.55
    loaded = hub.load(tmp_path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    with torch.no_grad():
        assert torch.allclose(loaded(images()), network.eval().features(images()), atol=2e-3)
    assert next(network.parameters()).dtype == torch.float32  # the network that was saved stays as it is


@pytest.mark.parametrize("form", [str, Path])
def test_a_run_folder_stands_for_its_best(saved: Path, tmp_path: Path, form: type) -> None:
    shutil.copytree(saved, tmp_path / "run" / "best")
    assert hub.load(form(tmp_path / "run")).card == hub.load(saved).card


def test_a_relative_folder(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    for name in ("tiny", "./tiny", "../models0/tiny" if saved.parent.name == "models0" else "tiny/"):
        assert hub.load(name).card.name == "tiny"


def test_saving_again_replaces(copy: Path) -> None:
    network = small_network(5)
    hub.save(copy, network, Card("new", network.architecture, network.feature_dim))
    loaded = hub.load(copy)
    assert loaded.card.name == "new"
    assert torch.equal(loaded.network.head.weight, network.head.weight)
    assert sorted(path.name for path in copy.iterdir()) == [
        "README.md",
        "card.json",
        "config.json",
        "model.safetensors",
    ]


def test_a_folder_without_a_config_for_timm(copy: Path) -> None:
    (copy / "config.json").unlink()  # as the first version wrote it
    assert hub.load(copy).card.name == "tiny"


def test_published_names(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "home", lambda: saved.parent)
    assert shipped.models() == ["tiny"]
    assert hub.load("tiny").card.name == "tiny"
    with pytest.raises(KeyError, match=r"unknown model 'tinny'; did you mean 'tiny'\? Known: tiny"):
        hub.load("tinny")


@pytest.mark.parametrize("name", ["./none", "../none", "/none/none", "a/b", "none/../../none"])
def test_paths_that_are_not_there(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no such model folder"):
        hub.load(name)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="it is not a saved model"):
        hub.load(tmp_path)


@pytest.mark.parametrize("device", ["cudda", "", "meta:x"])
def test_an_unknown_device_is_named(saved: Path, device: str) -> None:
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used"):
        hub.load(saved, device=device)
