"""An empty Hub, and a model to push."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hub_server
import pytest
from hub_server import TOKEN, HubServer

from robustfeat import hub
from robustfeat.card import Card
from robustfeat.testing import small_network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = small_network(0)
    hub.save(tmp_path / "small", network, Card("small", network.architecture, network.feature_dim), half=True)
    return tmp_path / "small"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """An empty Hub, and somebody logged in."""
    with hub_server.running(monkeypatch, tmp_path) as running:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running
