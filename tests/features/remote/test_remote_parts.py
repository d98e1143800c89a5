"""Weights in parts on the Hub: each is checked before anything is read, and what is not right is named."""

from __future__ import annotations

from pathlib import Path

import hub_faults
import pytest
from hub_models import NAME, cache, contents, flip, refused
from hub_server import Fault, HubServer

from robustfeat.features import hub
from robustfeat.features.parts import INDEX
from robustfeat.publishing.exported import export
from robustfeat.runtime.errors import IntegrityError, OfflineError

SECOND = "model-00002-of-00003.safetensors"


@pytest.fixture
def parts(server: HubServer, folder: Path, tmp_path: Path) -> Path:
    """The small model in parts, as a commit on branch main."""
    export(folder, tmp_path / "small", max_shard_size=40_000)
    files = contents(tmp_path / "small")
    assert SECOND in files
    server.repos["org/repo"].commit(files, removed=["model.safetensors"])
    return tmp_path / "small"


def test_the_model_comes_as_it_is(server: HubServer, parts: Path, folder: Path) -> None:
    assert hub.load(NAME).digest() == hub.load(folder).digest()
    server.requests.clear()
    assert hub.load(NAME).card.name == "small"
    assert server.requests == ["HEAD /org/repo/resolve/main/card.json"]
    assert hub.load(NAME, local_files_only=True).card.name == "small"


@pytest.mark.parametrize("name", [SECOND, INDEX])
def test_a_part_that_is_missing_there_is_named(server: HubServer, parts: Path, name: str) -> None:
    server.repos["org/repo"].commit({}, removed=[name])
    refused(FileNotFoundError, f"no file '{name}'")
    assert server.count("GET .*(safetensors|large)") == 0


@pytest.mark.parametrize("name", [SECOND, INDEX])
def test_another_part_is_refused(server: HubServer, parts: Path, name: str) -> None:
    content = (parts / name).read_bytes()
    server.repos["org/repo"].commit({name: content + b"\0"})
    refused(IntegrityError, f"{name} has {len(content) + 1} bytes instead of {len(content)}")
    assert server.count("GET .*(safetensors|large)") == 0
    server.repos["org/repo"].commit({name: flip(content)})
    refused(IntegrityError, f"{name} (has sha256|is damaged)")
    refused(OfflineError, "not in the cache", local_files_only=True)


def test_a_kill_between_two_parts_leaves_nothing_half(server: HubServer, parts: Path) -> None:
    server.faults = [Fault(f"GET .*{SECOND}", hub_faults.status(500))]
    refused(OfflineError, "HTTP 500")
    refused(OfflineError, "not in the cache", local_files_only=True)
    server.faults = []
    server.requests.clear()
    assert hub.load(NAME).card.name == "small"
    assert server.count("GET /org/repo/.*model-00001") == 0, "which is here already"


def test_a_damaged_part_in_the_cache_is_fetched_again(server: HubServer, parts: Path) -> None:
    digest = hub.load(NAME).digest()
    (path,) = cache().glob(f"snapshots/*/{SECOND}")
    path.resolve().write_bytes(flip(path.read_bytes()))
    refused(IntegrityError, f"{path} is damaged.*Load it once with network", local_files_only=True)
    assert hub.load(NAME).digest() == digest
    assert hub.load(NAME, local_files_only=True).digest() == digest
