"""Models of the Hub without network: the cache is enough, or an error says so."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hub_faults
import pytest
from hub_models import LIMIT, NAME, other_model, refused
from hub_server import Fault, HubServer

from robustfeat.features import hub
from robustfeat.runtime import online
from robustfeat.runtime.errors import OfflineError


def unanswered(*args: Any, **options: Any) -> None:
    time.sleep(4)
    raise socket.gaierror("no name server")


@pytest.fixture(params=["variable", "argument", "refused", "no name server"])
def away(request: pytest.FixtureRequest, server: HubServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict]:
    """Call it to be without network; returns the options of load."""

    def leave() -> dict[str, bool]:
        if request.param == "variable":
            monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        if request.param == "refused":
            server.shutdown()
            server.server_close()
        if request.param == "no name server":
            monkeypatch.setattr(socket, "getaddrinfo", unanswered)
            monkeypatch.setenv("ROBUSTFEAT_TIMEOUT", "0.3")
        return {"local_files_only": True} if request.param == "argument" else {}

    return leave


def test_the_cache_is_enough(away: Callable[[], dict], caplog: pytest.LogCaptureFixture) -> None:
    hub.load(NAME)
    options, begin = away(), time.monotonic()
    assert hub.load(NAME, **options).card.name == "small"
    assert time.monotonic() - begin < LIMIT
    asked = not options and not online.told_offline()
    assert ("from the cache" in caplog.text) == asked  # a warning where it was not wanted


def test_without_a_cache_an_error_says_so(away: Callable[[], dict]) -> None:
    refused(OfflineError, "org/repo", **away())


def test_false_insists_on_an_answer(server: HubServer) -> None:
    hub.load(NAME)
    server.faults = [Fault("HEAD", hub_faults.status(500))]
    refused(OfflineError, "HTTP 500", local_files_only=False)


def test_what_the_hub_does_not_answer_comes_from_the_cache(
    server: HubServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    hub.load(NAME)
    server.repos["org/repo"].commit(other_model(tmp_path))
    for fault in (Fault("HEAD", hub_faults.html), Fault("GET /large", hub_faults.status(503))):
        server.faults = [fault]
        assert hub.load(NAME).card.name == "small"
    assert caplog.text.count("from the cache") == 2
    server.faults = []
    assert hub.load(NAME).card.name == "other"
