"""Models on the disk: what is saved is what is loaded, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants

from robustfeat import hub
from robustfeat.card import Card
from robustfeat.errors import IntegrityError, OfflineError
from robustfeat.extractor import FeatureExtractor
from robustfeat.files import sha256
from robustfeat.network import Network
from robustfeat.random import generator
from robustfeat.recipe import Recipe
from robustfeat.report import Report
from robustfeat.testing import small_network
from robustfeat.types import Eps, Row


def images() -> torch.Tensor:
    return torch.rand(5, 3, 8, 8, generator=generator(0))


def trained() -> Network:
    """A network whose every number differs from that of a new one, also in its buffers."""
    network, random = small_network(1), generator(1)
    with torch.no_grad():
        for name, value in network.model.state_dict().items():
            value.copy_(torch.full_like(value, 7) if "tracked" in name else torch.rand(value.shape, generator=random))
    return network


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; tests that damage it take a copy."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    network = trained()
    card = Card(
        "tiny",
        network.architecture,
        network.feature_dim,
        objective="at",
        options={"label_smoothing": 0.1},
        recipe=Recipe(eps=Eps("4/255"), step_size=Eps(0.01)),
        reports=(Report("tiny", {}, "none", (Row("probe", "accuracy", "none", 0.5, 0.4, 0.6, 100, 1.5),)),),
        classes=("a", "b", "c", "d"),
    )
    hub.save(folder, network, card)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def change_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "card.json").read_text())
    change(values)
    (folder / "card.json").write_text(json.dumps(values))


def sign(folder: Path) -> None:
    """Make the card agree with whatever the weights are, as a hostile publisher would."""
    path = folder / "model.safetensors"
    change_card(folder, lambda card: card["weights"].update(bytes=path.stat().st_size, sha256=sha256(path)))


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
    assert card.weights == {
        "file": "model.safetensors",
        "bytes": (saved / "model.safetensors").stat().st_size,
        "sha256": sha256(saved / "model.safetensors"),
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


def test_flipped_bits_are_found(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole, random = path.read_bytes(), np.random.default_rng(0)
    offsets = [0, 7, 8, 9, len(whole) - 1, *random.integers(0, len(whole), 40).tolist()]
    for offset in offsets:
        bit = 1 << int(random.integers(8))
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ bit]) + whole[offset + 1 :])
        with pytest.raises(IntegrityError, match="is damaged: its sha256 is not the one in its card"):
            hub.load(copy)
    path.write_bytes(whole)
    hub.load(copy)


def test_other_sizes_are_found(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole = path.read_bytes()
    lengths = [0, 1, 8, 100, len(whole) - 1, *np.random.default_rng(1).integers(0, len(whole), 8).tolist()]
    for wrong in [whole[:length] for length in lengths] + [whole + b"\0", b"<html>rate limited</html>"]:
        path.write_bytes(wrong)
        with pytest.raises(
            IntegrityError, match=f"has {len(wrong)} bytes instead of {len(whole)}; fetch the model again"
        ):
            hub.load(copy)


def test_missing_files_are_named(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(IntegrityError, match=r"model\.safetensors is missing"):
        hub.load(copy)
    (copy / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no card\.json; it is not a saved model"):
        hub.load(copy)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"7", b'"card"', b"{}", b'{"format": 1}', b"<html>", b"\xff\xfe", b"[" * 100_000],
    ids=lambda text: text[:12],
)
def test_what_is_no_card_is_refused(copy: Path, text: bytes) -> None:
    (copy / "card.json").write_bytes(text)
    with pytest.raises(IntegrityError, match=r"card\.json (is not a valid card|can not be read)"):
        hub.load(copy)


@pytest.mark.parametrize("version", [0, 3, "1", None])
def test_another_format_is_refused(copy: Path, version: object) -> None:
    change_card(copy, lambda card: card.update(format=version))
    with pytest.raises(IntegrityError, match=f"card format {version!r} is not 2; install the version"):
        hub.load(copy)


def test_a_card_of_the_first_format_is_read(copy: Path) -> None:
    for key in ("reports", "limits", "fixture"):
        change_card(copy, lambda card, key=key: card.pop(key))
    change_card(copy, lambda card: card.update(format=1, results=[]))
    assert hub.load(copy).card.reports == ()


REQUIRED = ["format", "name", "architecture", "feature_dim", "recipe", "reports", "classes", "weights", "data"]


@pytest.mark.parametrize("key", REQUIRED)
def test_a_card_without_an_entry_is_refused(copy: Path, key: str) -> None:
    change_card(copy, lambda card: card.pop(key))
    with pytest.raises(IntegrityError, match=f"not a valid card .*{key}"):
        hub.load(copy)


@pytest.mark.parametrize("value", [7, "x", ["x"]], ids=repr)
@pytest.mark.parametrize("key", ["architecture", "weights", "options", "recipe", "reports", "extra"])
def test_entries_of_another_kind_are_refused(copy: Path, key: str, value: object) -> None:
    change_card(copy, lambda card: card.update({key: value}))
    with pytest.raises(IntegrityError, match="is not a valid card"):
        hub.load(copy)


@pytest.mark.parametrize("value", [None, "x", [1], {}], ids=repr)
@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(hub.Architecture)])
def test_an_architecture_of_another_kind_is_refused(copy: Path, key: str, value: object) -> None:
    change_card(copy, lambda card: card["architecture"].update({key: value}))
    error = KeyError if (key, value) == ("name", "x") else IntegrityError
    with pytest.raises(error):
        hub.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card["architecture"].update(classes=5), "does not hold the weights of cnn_tiny"),
        (lambda card: card["architecture"].update(name="cnn_small"), "does not hold the weights of cnn_small"),
        (lambda card: card.update(feature_dim=128), "gives 256 features, its card says 128"),
        (lambda card: card["weights"].update(sha256="0" * 64), "sha256"),
        (lambda card: card["weights"].clear(), "bytes instead of None"),
    ],
)
def test_a_card_of_another_model_is_refused(copy: Path, change: Callable[[Any], object], message: str) -> None:
    change_card(copy, change)
    with pytest.raises(IntegrityError, match=message):
        hub.load(copy)


def test_published_names(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_published", lambda: saved.parent)
    assert hub.models() == ["tiny"]
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


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "write", [lambda bomb, path: path.write_bytes(pickle.dumps(bomb)), torch.save], ids=["pickle", "torch"]
)
def test_pickles_under_our_name_do_not_run(copy: Path, tmp_path: Path, write: Callable[[Bomb, Path], object]) -> None:
    trap = tmp_path / "trap"
    write(Bomb(trap), copy / "model.safetensors")
    sign(copy)
    with pytest.raises(IntegrityError, match="does not hold the weights"):
        hub.load(copy)
    assert not trap.exists()


@pytest.mark.parametrize("header", [2**60, 2**63 - 1, 2**64 - 1, 10**9, 2])
def test_hostile_headers_cost_nothing(copy: Path, header: int) -> None:
    (copy / "model.safetensors").write_bytes(header.to_bytes(8, "little") + b"{}")
    sign(copy)
    begin = time.monotonic()
    with pytest.raises(IntegrityError, match="does not hold the weights"):
        hub.load(copy)
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("device", ["cudda", "", "meta:x"])
def test_an_unknown_device_is_named(saved: Path, device: str) -> None:
    with pytest.raises(ValueError, match=f"device '{device}' can not be used"):
        hub.load(saved, device=device)


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
    with pytest.raises(OfflineError, match=r"can not be reached for weights 'resnet18\.a1_in1k'"):
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
