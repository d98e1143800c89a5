"""`load` and `save`, the entry points for models. No file is parsed before its size and sha256 are verified."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import safetensors
import timm
import torch

from robustfeat.backbones import as_timm_sees, check_name, timm_config
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import Network, new_network
from robustfeat.features.card import UNTRAINED, Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.model_folder import CARD, CONFIG, README, read_card, verify
from robustfeat.features.remote import HF, fetch, repository
from robustfeat.features.shipped import folder_of, models
from robustfeat.features.weights import read_weights, write_weights
from robustfeat.runtime.errors import IntegrityError, OfflineError
from robustfeat.runtime.files import write_text
from robustfeat.runtime.online import cache_only, hub_endpoint, reachable
from robustfeat.runtime.registry import unknown

log = logging.getLogger(__name__)

TIMM = "timm:"


def load(
    name: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    image_size: int | None = None,
    revision: str | None = None,
    local_files_only: bool | None = None,
) -> FeatureExtractor:
    """Load a feature extractor in eval mode.

    Args:
        name: a published model ("gacd-resnet18"; see `models()`), a folder that `save` or training wrote, "hf:ORG/REPO" or
            "hf:ORG/REPO@REVISION" for a model on the Hugging Face Hub, "timm:resnet18" for the untrained timm architecture, or
            "timm:resnet18.a1_in1k" for timm's weights (downloaded from the Hub once).
        device: "cpu", "cuda", ...
        image_size: pixels per side to which images are scaled; None takes the size that the model was trained with.
        revision: branch, tag or commit, for "hf:" only; None takes "main".
        local_files_only: True never contacts the Hub. None contacts it and falls back to the cache if it does not respond.
            False requires a response. For timm's weights timm itself contacts the Hub; False requires that the Hub can be
            reached.

    Raises:
        KeyError: for an unknown name.
        ValueError: for a device that cannot be used, an image size that the network does not accept, and an invalid revision.
        IntegrityError: if the files differ from what was published.
        OfflineError: if a file must be downloaded and cannot be.
        FileNotFoundError: if a folder, repository, revision or file does not exist.
        PermissionError: if a repository is private or gated.
    """
    network, card = load_network(name, revision=revision, local_files_only=local_files_only)
    try:
        return FeatureExtractor(network, card).sized(image_size).to(device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {str(device)!r} cannot be used: {error}") from error


def load_network(
    name: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool | None = None
) -> tuple[Network, Card]:
    """Load the network with its head, and the card, of a name that `load` understands."""
    text = os.fspath(name)
    if text.startswith(TIMM):
        _no_revision(text, revision)
        return _from_timm(text.removeprefix(TIMM), local_files_only)
    folder = find(text, revision=revision, local_files_only=local_files_only)
    card = read_card(folder)
    verify(folder, card)
    try:
        assert card.weights is not None  # or they were not as described
        state = read_weights(folder, card.weights)
        network = new_network(card.architecture)
        network.model.load_state_dict(
            {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        )
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise IntegrityError(f"{folder} does not hold the weights of {card.architecture.name}: {error}") from error
    if network.feature_dim != card.feature_dim:
        raise IntegrityError(f"{folder} gives {network.feature_dim} features, its card says {card.feature_dim}")
    return network.eval(), card


def find(name: str, *, revision: str | None = None, local_files_only: bool | None = None) -> Path:
    """Return the folder of a model, downloading it if necessary.

    Args:
        name: a path with a card (or a run folder with `best`), a published name, or hf:ORG/REPO.
        revision: as for `load`.
        local_files_only: as for `load`.
    """
    if name.startswith(HF):
        return fetch(*repository(name, revision), local_files_only=local_files_only)
    _no_revision(name, revision)
    path = Path(name).expanduser()
    for folder in (path, path / "best"):
        if (folder / CARD).is_file():
            return folder
    if path.is_dir():
        raise FileNotFoundError(f"folder {name!r} has no {CARD}; it is not a saved model")
    names = models()
    if name in names:
        return folder_of(name)
    if os.sep in name or name.startswith("."):
        raise FileNotFoundError(f"no such model folder: {name!r}; a model on the Hub is hf:ORG/REPO")
    raise unknown("model", name, names)


def save(
    folder: str | os.PathLike[str],
    network: Network,
    card: Card,
    *,
    half: bool = False,
    max_shard_size: int | str | None = None,
) -> Card:
    """Write model.safetensors, card.json, README.md, and config.json for timm.

    Args:
        folder: the model folder.
        network: the network with its head.
        card: the description of the model.
        half: store the weights in half precision.
        max_shard_size: bytes of weights in one file, as a number or as "15MB"; larger weights are written as parts with an index.

    Returns:
        The card with size and sha256 of the weights added.
    """
    target = Path(folder)
    state = {}
    for key, value in network.model.state_dict().items():
        stored = value.half() if half and value.is_floating_point() else value
        state[key] = stored.detach().cpu().contiguous().clone()
    versions = {package: metadata.version(package) for package in ("torch", "timm", "accelerate")}
    weights = write_weights(target, state, max_shard_size)
    card = replace(card, weights=weights, versions=versions, feature_dim=network.feature_dim)
    write_text(target / CARD, card.to_json())
    write_text(target / README, card.readme())
    write_text(target / CONFIG, timm_config(network.model, network.architecture, card.classes))
    return card


def _no_revision(name: str, revision: str | None) -> None:
    if revision is not None:
        raise ValueError(f"revision={revision!r} is for models of the Hub (hf:ORG/REPO), and {name!r} is none")


def _from_timm(name: str, local_files_only: bool | None) -> tuple[Network, Card]:
    """Load a plain timm model: "resnet18" untrained, "resnet18.a1_in1k" with timm's weights."""
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
        architecture = as_timm_sees(architecture, cfg)
    # timm asks the Hub, with a minute of retries, even for weights it has; without a connection it asks its cache only.
    offline = bool(tag) and (bool(local_files_only) or not reachable(hub_endpoint()))
    if offline and local_files_only is False:
        raise OfflineError(
            f"{hub_endpoint()} cannot be reached for weights {name!r}, and local_files_only=False insists"
        )
    try:
        with cache_only(offline):
            network = new_network(architecture, pretrained_tag=tag or None)
    except (OSError, RuntimeError) as error:
        if not tag:
            raise
        raise OfflineError(f"weights {name!r} are not in the cache and cannot be downloaded: {error}") from error
    if tag:
        return network.eval(), Card(TIMM + name, architecture, network.feature_dim, head="trained")
    known = ", ".join(timm.list_pretrained(f"{architecture_name}.*")[:3])
    log.warning(
        "%s is untrained: its weights are random.%s", TIMM + name, f" timm has trained ones: {known}" if known else ""
    )
    return network.eval(), Card(TIMM + name, architecture, network.feature_dim, limits=(UNTRAINED,))
