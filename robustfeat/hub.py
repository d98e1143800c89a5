"""Where models come from and go to: `load`, `save`, `models`. Nothing is parsed before its size and sha256 are right."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import safetensors
import timm
import torch
from safetensors.torch import load_file, save_file

from robustfeat.architecture import Architecture
from robustfeat.backbones import check_name
from robustfeat.card import Card
from robustfeat.errors import IntegrityError, OfflineError
from robustfeat.extractor import FeatureExtractor
from robustfeat.files import atomic_file, sha256, write_text
from robustfeat.network import Network, new_network
from robustfeat.online import cache_only, hub_endpoint, reachable
from robustfeat.registry import unknown

WEIGHTS, CARD, README = "model.safetensors", "card.json", "README.md"
TIMM = "timm:"


def models() -> list[str]:
    """Names of the published models, which `load` finds without network."""
    return sorted(path.name for path in _published().iterdir() if (path / CARD).is_file())


def load(name: str | os.PathLike[str], *, device: torch.device | str = "cpu") -> FeatureExtractor:
    """A feature extractor in eval mode.

    name: a published model ("gacd-resnet18"; see `models()`), a folder that `save` or training wrote, "timm:resnet18" for the
        untrained timm architecture, or "timm:resnet18.a1_in1k" for timm's weights (from the Hub, once).
    device: "cpu", "cuda", ...

    Raises KeyError for an unknown name, IntegrityError where the files are not what was published, OfflineError where timm
    weights are needed and the Hub can not be reached.
    """
    network, card = load_network(name)
    try:
        return FeatureExtractor(network, card).to(device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {str(device)!r} can not be used: {error}") from error


def load_network(name: str | os.PathLike[str]) -> tuple[Network, Card]:
    """Network with head, and card, behind a name that `load` understands."""
    text = os.fspath(name)
    if text.startswith(TIMM):
        return _from_timm(text.removeprefix(TIMM))
    folder = find(text)
    card = read_card(folder)
    path = folder / WEIGHTS
    _verify(path, card)
    try:
        state = load_file(path)
        network = new_network(card.architecture)
        network.model.load_state_dict(
            {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        )
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise IntegrityError(f"{path} does not hold the weights of {card.architecture.name}: {error}") from error
    if network.feature_dim != card.feature_dim:
        raise IntegrityError(f"{path} gives {network.feature_dim} features, its card says {card.feature_dim}")
    return network.eval(), card


def find(name: str) -> Path:
    """The folder of a model: a path with a card (or the `best` folder of a run), or a published name."""
    path = Path(name).expanduser()
    for folder in (path, path / "best"):
        if (folder / CARD).is_file():
            return folder
    if path.is_dir():
        raise FileNotFoundError(f"folder {name!r} has no {CARD}; it is not a saved model")
    published = models()
    if name in published:
        return Path(str(_published() / name))
    if os.sep in name or name.startswith("."):
        raise FileNotFoundError(f"no such model folder: {name!r}")
    raise unknown("model", name, published)


def read_card(folder: Path) -> Card:
    """The card of a model folder."""
    try:
        return Card.from_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{folder / CARD} can not be read: {error}") from error


def save(folder: str | os.PathLike[str], network: Network, card: Card, *, half: bool = False) -> Card:
    """Write model.safetensors, card.json and README.md; returns the card with size and sha256 of the weights.

    half: store the weights in half precision.
    """
    target = Path(folder)
    state = {}
    for key, value in network.model.state_dict().items():
        stored = value.half() if half and value.is_floating_point() else value
        state[key] = stored.detach().cpu().contiguous().clone()
    with atomic_file(target / WEIGHTS) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
    path = target / WEIGHTS
    versions = {package: metadata.version(package) for package in ("torch", "timm", "accelerate")}
    weights = {"file": WEIGHTS, "bytes": path.stat().st_size, "sha256": sha256(path)}
    card = replace(card, weights=weights, versions=versions, feature_dim=network.feature_dim)
    write_text(target / CARD, card.to_json())
    write_text(target / README, card.readme())
    return card


def _published() -> Path:
    return Path(str(files("robustfeat.pretrained")))


def _verify(path: Path, card: Card) -> None:
    """Size, then sha256, against the card."""
    if not path.is_file():
        raise IntegrityError(f"{path} is missing; fetch the model again")
    size, expected = path.stat().st_size, card.weights.get("bytes")
    if size != expected:
        raise IntegrityError(f"{path} has {size} bytes instead of {expected}; fetch the model again")
    if sha256(path) != card.weights.get("sha256"):
        raise IntegrityError(f"{path} is damaged: its sha256 is not the one in its card; fetch the model again")


def _from_timm(name: str) -> tuple[Network, Card]:
    """A plain timm model: "resnet18" untrained, "resnet18.a1_in1k" with timm's weights."""
    architecture_name, _, tag = name.partition(".")
    check_name(architecture_name)
    try:
        cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    except RuntimeError:  # a tag that this timm does not know
        cfg = None
    if tag and (cfg is None or cfg.tag != tag):
        raise unknown("timm weights", name, timm.list_pretrained(f"{architecture_name}.*"))
    architecture = Architecture(architecture_name)
    if cfg is not None:  # None for an architecture of which timm has no weights at all
        architecture = replace(
            architecture,
            classes=cfg.num_classes or 1000,
            image_size=(cfg.input_size or (3, 224, 224))[-1],
            mean=tuple(cfg.mean or (0.5,) * 3),  # type: ignore[arg-type]
            std=tuple(cfg.std or (0.5,) * 3),  # type: ignore[arg-type]
        )
    try:
        # timm asks the Hub, with a minute of retries, even for weights it has; without a connection it asks its cache only.
        offline = bool(tag) and not reachable(hub_endpoint())
        with cache_only(offline):
            network = new_network(architecture, pretrained_tag=tag or None)
    except (OSError, RuntimeError) as error:
        if not tag:
            raise
        raise OfflineError(f"weights {name!r} are not in the cache and can not be downloaded: {error}") from error
    return network.eval(), Card(TIMM + name, architecture, network.feature_dim, head="trained" if tag else "none")
