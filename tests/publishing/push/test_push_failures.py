"""A push that fails says why, and leaves the Hub as it was or names the commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hub_faults
import pytest
from hub_faults import status
from hub_server import Fault, HubServer

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.publishing import hub_upload as pushing
from robustfeat.publishing.hub_upload import push
from robustfeat.runtime.errors import IntegrityError, OfflineError
from robustfeat.testing import small_network


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("repo", {}, "'repo' has no owner; give ORG/REPO"),
        ("a/b/c", {}, "is not hf:ORG/REPO"),
        ("org/repo", {"revision": "0" * 40}, "is a commit"),
        ("org/repo", {"revision": "a..b"}, "is not the name of a branch"),
    ],
)
def test_targets_that_are_none(server: HubServer, folder: Path, to: str, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        push(folder, to, **options)
    assert server.requests == []


def test_a_damaged_folder_is_not_sent(server: HubServer, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(IntegrityError, match="is damaged"):
        push(folder, "org/repo")
    with pytest.raises(FileNotFoundError, match="no such model folder"):
        push("./none", "org/repo")
    assert server.requests == []


def test_without_a_token(server: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        PermissionError, match="needs a token that may write: log in with `hf auth login`, or set HF_TOKEN"
    ):
        push(folder, "org/repo")
    assert server.requests == []
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(PermissionError, match=r"the Hub answers 401 .*hf auth login"):
        push(folder, "org/repo")


def test_without_network(server: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(OfflineError, match="cannot be reached"):
        push(folder, "org/repo")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OfflineError, match="HF_HUB_OFFLINE is set"):
        push(folder, "org/repo")


FAULTS = {
    "create 403": ("create", status(403), PermissionError, "403"),
    "create 500": ("create", status(500), OfflineError, "HTTP 500.*the branch is as it was"),
    "create hangs": ("create", hub_faults.hang, OfflineError, "ReadTimeout"),
    "upload 403": ("PUT", status(403), PermissionError, "403"),
    "commit 409": ("/commit/", status(409), ValueError, "HTTP 409"),
    "commit 503": ("/commit/", status(503), OfflineError, "HTTP 503"),
    "commit hangs": ("/commit/", hub_faults.hang, OfflineError, "ReadTimeout"),
}


@pytest.mark.parametrize(("where", "act", "kind", "message"), FAULTS.values(), ids=FAULTS)
def test_what_fails_is_named(
    server: HubServer, folder: Path, where: str, act: Any, kind: type[Exception], message: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(pushing, "SILENCE", 0.3)
    server.faults = [Fault(where, act)]
    with pytest.raises(kind, match=message):
        push(folder, "org/repo")
    assert not any("card.json" in files for repo in server.repos.values() for files in repo.commits.values())
    server.faults = []
    assert push(folder, "org/repo").digest == hub.load("hf:org/repo").digest()


def test_a_commit_that_can_not_be_loaded_back_is_named(server: HubServer, folder: Path) -> None:
    server.faults = [Fault("GET .*safetensors", status(500))]
    with pytest.raises(
        OfflineError, match=r"pushed as commit [0-9a-f]{40}, but it could not be loaded back: .*HTTP 500"
    ):
        push(folder, "org/repo")
    server.faults = []
    assert hub.load("hf:org/repo").digest() == hub.load(folder).digest()


def test_what_arrived_changed_is_noticed(server: HubServer, folder: Path, tmp_path: Path) -> None:
    other = small_network(1)
    card = hub.save(tmp_path / "other", other, Card("small", other.architecture, other.feature_dim))

    def swap(handler: Any) -> bool:
        """Somebody pushes other weights to where this commit will be looked for."""
        handler.commit("org/repo", "main")
        repo = handler.server.repos["org/repo"]
        whole = repo.commits[repo.branches["main"]]
        whole |= {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()}
        return False

    server.faults = [Fault("/commit/", swap)]
    with pytest.raises(IntegrityError, match="has other weights"):
        push(folder, "org/repo")
    assert card.weights != hub.read_card(folder).weights
