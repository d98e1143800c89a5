"""A small Hugging Face Hub on this machine, with a switch for each way to fail."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hub_handler import Handler
from hub_repo import Repo
from huggingface_hub import constants

PROXIES = [f"{kind}_proxy" for kind in ("http", "https", "all")]
PROXIES += [name.upper() for name in PROXIES]


@dataclass
class Fault:
    """How requests fail whose method and path match; `act` may answer, or return True to go on as usual."""

    where: str
    act: Callable[[Handler], bool]


class HubServer(ThreadingHTTPServer):
    """repos: by ORG/REPO.  faults: the first one that matches acts.  requests: "METHOD path token?" of everything asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, request) is not None for request in self.requests)


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[HubServer]:
    """A server that is the Hub of this process and of those it forks, with an empty cache below `home` and nobody logged in."""
    server = HubServer()
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN", "ROBUSTFEAT_TIMEOUT", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    # huggingface_hub has read the environment when it was imported; timm gives it no endpoint.
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    read = {"ENDPOINT": server.url, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_OFFLINE": False}
    read |= {"HF_HUB_CACHE": str(home / "hub"), "HF_TOKEN_PATH": str(home / "token"), "HF_HUB_DISABLE_XET": True}
    for name, value in read.items():
        monkeypatch.setattr(constants, name, value)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()  # those who hang
        server.shutdown()
        server.server_close()
