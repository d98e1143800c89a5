"""A Hub of one repository, whose model is the small one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hub_server
import pytest
from hub_models import contents
from hub_repo import Repo
from hub_server import HubServer
from small_model import small_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def server(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub with org/repo, which holds the folder on branch main."""
    with hub_server.running(monkeypatch, tmp_path) as running:
        running.repos["org/repo"] = Repo()
        running.repos["org/repo"].commit(contents(folder))
        yield running
