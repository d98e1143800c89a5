"""Whether a host can be reached."""

from __future__ import annotations

import pytest
from hub_server import HubServer

from robustfeat.runtime import online


def test_a_proxy_is_asked_in_the_place_of_the_host(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not online.reachable("http://no-such-host.invalid")
    monkeypatch.setenv("http_proxy", server.url)
    assert online.reachable("http://no-such-host.invalid")
    monkeypatch.setenv("no_proxy", "no-such-host.invalid")
    assert not online.reachable("http://no-such-host.invalid")
