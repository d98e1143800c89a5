"""An empty Hub, and a model to push."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hub_server
import pytest
from hub_handler import TOKEN
from hub_server import HubServer
from small_model import small_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_model(tmp_path / "small", half=True)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """An empty Hub, and somebody logged in."""
    with hub_server.running(monkeypatch, tmp_path) as running:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running
