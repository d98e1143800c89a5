"""A Hub that fails in every way: an error says why within two seconds, and nothing bad is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hub_faults
import pytest
from hub_handler import TOKEN
from hub_models import NAME, cache, flip, other_model, refused
from hub_repo import Repo
from hub_server import Fault, HubServer

from robustfeat.features import hub
from robustfeat.runtime.errors import IntegrityError, OfflineError

CARD_HEAD, CARD_GET = "HEAD .*card.json", "GET .*card.json"
HEAD, GET, BODY = "HEAD .*model.safetensors", "GET .*model.safetensors", "GET /large/"
status, content = hub_faults.status, hub_faults.content

FAULTS: list[tuple[str, str, Callable[[Any], bool], type[Exception], str]] = [
    ("429", CARD_HEAD, status(429, Retry_After="60"), OfflineError, "HTTP 429, to be asked again in 60 s"),
    ("429 get", BODY, status(429, Retry_After="60"), OfflineError, "HTTP 429"),
    ("500", CARD_HEAD, status(500), OfflineError, "HTTP 500"),
    ("500 weights", HEAD, status(500), OfflineError, "HTTP 500"),
    ("503 get", GET, status(503), OfflineError, "HTTP 503"),
    ("400", CARD_HEAD, status(400), ValueError, "HTTP 400"),
    ("html", CARD_HEAD, hub_faults.html, OfflineError, "login page"),
    ("html weights", HEAD, hub_faults.html, OfflineError, "login page"),
    ("html get card", CARD_GET, hub_faults.html, IntegrityError, "bytes"),
    ("html get weights", BODY, hub_faults.html, IntegrityError, "gives 26 instead of"),
    ("html as a card", "card.json", content(lambda body: b"<html></html>"), IntegrityError, "card.json is damaged"),
    ("short card", CARD_GET, content(lambda body: body[:-3]), IntegrityError, "bytes; nothing was kept"),
    ("short", BODY, content(lambda body: body[:-3]), IntegrityError, "bytes; nothing was kept"),
    ("cut off", BODY, content(lambda body: body[:-3], promise=10**6), OfflineError, "RemoteProtocolError"),
    ("empty", BODY, content(lambda body: b""), IntegrityError, "gives 0 instead of"),
    ("long", BODY, content(lambda body: body + b"x"), IntegrityError, "gives more than"),
    ("other bytes", BODY, content(flip), IntegrityError, "its sha256 is not the one in its card"),
    ("other card", CARD_GET, content(flip), IntegrityError, "its digest is not the one that the Hub gave"),
    ("404 card", CARD_HEAD, status(404), FileNotFoundError, "no file 'card.json', which robustfeat push writes"),
    ("401", CARD_HEAD, status(401), PermissionError, "hf auth login"),
    ("403", BODY, status(403), PermissionError, "HF_TOKEN"),
]


@pytest.mark.parametrize(("where", "act", "kind", "message"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_each_failure_has_its_error_and_leaves_nothing(
    server: HubServer, where: str, act: Callable[[Any], bool], kind: type[Exception], message: str
) -> None:
    server.faults = [Fault(where, act)]
    refused(kind, f"{server.url}/org/repo.*{message}|{message}.*{server.url}/org/repo")
    assert not list(cache().glob("snapshots/*/model.safetensors"))
    refused(OfflineError, "not in the cache", local_files_only=True)
    server.faults = []
    assert hub.load(NAME).card.name == "small"
    assert len(list((cache() / "blobs").iterdir())) == 2


@pytest.mark.parametrize("where", [CARD_HEAD, CARD_GET, HEAD, GET, BODY])
def test_a_connection_that_the_server_has_closed_is_opened_again_once(server: HubServer, where: str) -> None:
    server.faults = [Fault(where, hub_faults.hang_up(2))]
    refused(OfflineError, "disconnected without sending")
    server.faults = [Fault(where, hub_faults.hang_up(1))]
    assert hub.load(NAME).card.name == "small"


@pytest.mark.parametrize("where", [CARD_HEAD, CARD_GET, HEAD, GET, BODY])
def test_a_server_that_never_answers(server: HubServer, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTFEAT_TIMEOUT", "0.2")
    server.faults = [Fault(where, hub_faults.hang)]
    begin = time.monotonic()
    refused(OfflineError, "ReadTimeout.*allow more than 0.2 s of silence with ROBUSTFEAT_TIMEOUT")
    assert time.monotonic() - begin < 1
    server.faults = []
    assert hub.load(NAME).card.name == "small"


@pytest.mark.parametrize(
    ("where", "act"), [(CARD_HEAD, hub_faults.hang), (BODY, hub_faults.trickle(4, 0.0, last=False))]
)
def test_two_seconds_without_any_setting(server: HubServer, where: str, act: Callable[[Any], bool]) -> None:
    server.faults = [Fault(where, act)]
    refused(OfflineError, "ReadTimeout")
    assert not list(cache().glob("snapshots/*/model.safetensors"))


def test_slow_is_not_silent(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTFEAT_TIMEOUT", "0.3")
    server.faults = [Fault(BODY, hub_faults.trickle(8, 0.1))]
    begin = time.monotonic()
    assert hub.load(NAME).card.name == "small"
    assert time.monotonic() - begin > 0.7  # more than twice the limit


@pytest.mark.parametrize("seconds", ["", "0", "-1", "nan", "inf", "soon"])
def test_a_timeout_that_is_none(server: HubServer, seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTFEAT_TIMEOUT", seconds)
    refused(ValueError, f"ROBUSTFEAT_TIMEOUT must be a number of seconds above 0, got '{seconds}'")


def test_what_is_missing_is_named(server: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    refused(FileNotFoundError, "no repository 'org/none'", "hf:org/none")
    refused(FileNotFoundError, "no revision 'none'", f"{NAME}@none")
    server.repos["org/repo"].commit({"x": b""}, branch="bare")
    server.repos["org/half"] = Repo()
    server.repos["org/half"].commit({"card.json": (folder / "card.json").read_bytes()})
    refused(FileNotFoundError, r"no file 'model\.safetensors'", "hf:org/half")
    refused(FileNotFoundError, r"no file 'card\.json', which robustfeat push writes", f"{NAME}@bare")


@pytest.mark.parametrize("kind", ["private", "gated"])
def test_a_closed_repository(server: HubServer, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setattr(server.repos["org/repo"], kind, True)
    refused(
        PermissionError, f"Ask for access at {server.url}/org/repo, and log in with `hf auth login`, or set HF_TOKEN"
    )
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert hub.load(NAME).card.name == "small"
    assert server.count(r"GET /large/\w+ token") == 0  # another host must not see it
    assert server.count(r"GET /large/\w+$") == 1


def test_a_card_of_other_weights_costs_no_download(server: HubServer, tmp_path: Path) -> None:
    weights = other_model(tmp_path)["model.safetensors"]
    server.repos["org/repo"].commit({"model.safetensors": weights})
    refused(IntegrityError, "has sha256 .*, its card says .*Nothing was kept")
    server.repos["org/repo"].commit({"model.safetensors": weights + b"\0"})
    refused(IntegrityError, "bytes instead of")
    assert server.count("GET .*(safetensors|large)") == 0


@pytest.mark.parametrize("header", [{"ETag": '"../../../trap"'}, {"X_Repo_Commit": "../../trap"}, {"ETag": ""}])
def test_a_hostile_server_names_no_files(server: HubServer, header: dict[str, str]) -> None:
    def act(handler: Any) -> bool:
        usual = {"ETag": '"a"', "X_Repo_Commit": "0" * 40}
        handler.send(200, b"{}", **(usual | header))
        return False

    server.faults = [Fault("card.json", act)]
    refused(OfflineError, "not the Hub answers")
    assert not cache().exists()
