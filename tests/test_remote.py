"""Models of the Hub, from a server on this machine that fails in every way: what was pushed is loaded, or an error says why."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hub_faults
import hub_server
import pytest
from hub_server import TOKEN, Fault, HubServer, Repo
from huggingface_hub import constants, hf_hub_download, scan_cache_dir

from robustfeat import cli, hub, online, remote
from robustfeat.card import Card
from robustfeat.errors import IntegrityError, OfflineError
from robustfeat.tasks import named
from robustfeat.testing import small_network

NAME = "hf:org/repo"
LIMIT = 2.0  # seconds to an error, of which 1.5 are silence


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = small_network(0)
    path = tmp_path_factory.mktemp("models") / "small"
    hub.save(path, network, Card("small", network.architecture, network.feature_dim))
    return path


@pytest.fixture
def server(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub with org/repo, which holds the folder on branch main."""
    with hub_server.running(monkeypatch, tmp_path) as running:
        running.repos["org/repo"] = Repo()
        running.repos["org/repo"].commit(contents(folder))
        yield running


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def other_model(tmp_path: Path, **changes: Any) -> dict[str, bytes]:
    network = small_network(1)
    card = Card("other", network.architecture, network.feature_dim)
    hub.save(tmp_path / "other", network, replace(card, **changes))
    return contents(tmp_path / "other")


def cache() -> Path:
    return Path(constants.HF_HUB_CACHE) / "models--org--repo"


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def refused(kind: type[Exception], match: str, name: str = NAME, **options: Any) -> None:
    begin = time.monotonic()
    with pytest.raises(kind, match=match) as caught:
        hub.load(name, **options)
    assert time.monotonic() - begin < LIMIT
    assert "\n" not in str(caught.value)


# What is loaded


def test_the_model_comes_as_it_is(server: HubServer, folder: Path) -> None:
    assert hub.load(NAME).digest() == hub.load(folder).digest()
    assert server.count("README|config") == 0


def test_a_second_load_asks_for_the_commit_only(server: HubServer) -> None:
    hub.load(NAME)
    server.requests.clear()
    hub.load(NAME)
    assert server.requests == ["HEAD /org/repo/resolve/main/card.json"]


def test_a_commit_in_the_cache_needs_no_network(server: HubServer, tmp_path: Path) -> None:
    repo = server.repos["org/repo"]
    first = repo.branches["main"]
    hub.load(f"{NAME}@{first}")
    repo.commit(other_model(tmp_path))
    server.requests.clear()
    for options in ({}, {"local_files_only": True}, {"local_files_only": False}):
        assert hub.load(NAME, revision=first, **options).card.name == "small"
    assert server.requests == []
    assert hub.load(NAME).card.name == "other"


def test_branches_and_tags(server: HubServer, tmp_path: Path) -> None:
    server.repos["org/repo"].commit(other_model(tmp_path), branch="work/next.1")
    assert hub.load(f"{NAME}@work/next.1").card.name == "other"
    assert hub.load(NAME, revision="work/next.1", local_files_only=True).card.name == "other"
    assert hub.load(NAME).card.name == "small"


def test_a_branch_that_moved_is_followed(server: HubServer, tmp_path: Path) -> None:
    hub.load(NAME)
    server.repos["org/repo"].commit(other_model(tmp_path))
    assert hub.load(NAME, local_files_only=True).card.name == "small"
    assert hub.load(NAME).card.name == "other"
    assert hub.load(NAME, local_files_only=True).card.name == "other"


def test_the_same_weights_come_once(server: HubServer, folder: Path) -> None:
    hub.load(NAME)
    card = hub.read_card(folder)
    server.repos["org/repo"].commit({"card.json": replace(card, licence="MIT").to_json().encode()})
    server.requests.clear()
    assert hub.load(NAME).card.licence == "MIT"
    assert server.count("GET .*(safetensors|large)") == 0


def test_a_name_works_wherever_a_model_is_named(server: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert hub.load_network(NAME)[1].name == "small"
    assert hub.read_card(hub.find(NAME)).name == "small"
    assert hub.load(Path(NAME)).card.name == "small"
    assert named(f"head:{NAME}").options()["weights"] == hub.read_card(hub.find(NAME)).weights["sha256"]
    assert cli.main(["show", NAME]) == 0
    assert capsys.readouterr().out.startswith("# small\n")
    assert cli.main(["show", f"{NAME}@none"]) == 2
    assert cli.main(["show", "hf:org/none"]) == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hf:", {}, "is not hf:ORG/REPO"),
        ("hf:a/b/c", {}, "is not hf:ORG/REPO"),
        ("hf:../..", {}, "is not hf:ORG/REPO"),
        ("hf:org/re po", {}, "is not hf:ORG/REPO"),
        ("hf:org/repo@", {}, "revision '' of"),
        ("hf:org/repo@../../x", {}, "is not the name of a branch"),
        ("hf:org/repo@/x", {}, "is not the name of a branch"),
        ("hf:org/repo", {"revision": "a b"}, "is not the name of a branch"),
        ("hf:org/repo@a", {"revision": "b"}, "names revision 'a', and revision='b' another"),
        ("gacd-resnet18", {"revision": "main"}, "is for models of the Hub"),
        ("timm:resnet18", {"revision": "main"}, "is for models of the Hub"),
    ],
)
def test_names_that_are_none(server: HubServer, name: str, options: dict[str, str], message: str) -> None:
    refused(ValueError, message, name, **options)
    assert server.requests == []


# Without network


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


# What goes wrong

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


# The cache


def damaged(name: str) -> Path:
    """Flip a bit of a cached file."""
    (path,) = cache().glob(f"snapshots/*/{name}")
    path.resolve().write_bytes(flip(path.read_bytes()))
    return path


@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_damaged_file_is_fetched_again(server: HubServer, name: str, pinned: bool) -> None:
    digest = hub.load(NAME).digest()
    path = damaged(name)
    refused(IntegrityError, f"{path} .*Load it once with network.*or remove {cache()}", local_files_only=True)
    server.faults = [Fault("HEAD", status(500))]
    revision = path.parent.name if pinned else "main"
    refused(IntegrityError, f"{path} ", revision=revision)
    server.faults = []
    assert hub.load(NAME, revision=revision).digest() == digest
    assert hub.load(NAME, local_files_only=True).digest() == digest


def test_huggingface_hub_and_we_share_files(server: HubServer) -> None:
    ours = hub.find(NAME)
    for name in ("card.json", "model.safetensors"):
        assert hf_hub_download("org/repo", name, local_files_only=True) == str(ours / name)
    (repo,) = scan_cache_dir(constants.HF_HUB_CACHE).repos
    assert scan_cache_dir(constants.HF_HUB_CACHE).warnings == []
    assert (repo.repo_id, repo.nb_files, {ref for rev in repo.revisions for ref in rev.refs}) == (
        "org/repo",
        2,
        {"main"},
    )
    shutil.rmtree(cache())
    theirs = [hf_hub_download("org/repo", name) for name in ("card.json", "model.safetensors")]
    server.requests.clear()
    assert [str(hub.find(NAME) / name) for name in ("card.json", "model.safetensors")] == theirs
    assert server.count("GET") == 0


def test_a_file_system_without_links(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    digest = hub.load(NAME).digest()
    assert not any(path.is_symlink() for path in cache().rglob("*"))
    assert hub.load(NAME, local_files_only=True).digest() == digest


fork = multiprocessing.get_context("fork")  # of a process that has imported everything


def _fetch() -> None:
    logging.disable()
    remote.fetch("org/repo")


def test_eight_processes_at_once(server: HubServer, folder: Path) -> None:
    server.faults = [Fault(BODY, hub_faults.trickle(4, 0.05))]  # so that they overlap
    processes = [fork.Process(target=_fetch) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    assert len(list((cache() / "blobs").iterdir())) == 2
    (weights,) = cache().glob("snapshots/*/model.safetensors")
    assert weights.read_bytes() == (folder / "model.safetensors").read_bytes()
    assert hub.load(NAME, local_files_only=True).card.name == "small"


def test_killed_half_way(server: HubServer) -> None:
    server.faults = [Fault(BODY, hub_faults.trickle(4, 0.05, last=False))]
    process = fork.Process(target=_fetch)
    process.start()
    while not server.count("GET /large"):
        time.sleep(0.01)
    time.sleep(0.1)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    server.faults = []
    refused(OfflineError, "not in the cache", local_files_only=True)
    assert hub.load(NAME).card.name == "small"


# Reachable


def test_a_proxy_is_asked_in_the_place_of_the_host(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not online.reachable("http://no-such-host.invalid")
    monkeypatch.setenv("http_proxy", server.url)
    assert online.reachable("http://no-such-host.invalid")
    monkeypatch.setenv("no_proxy", "no-such-host.invalid")
    assert not online.reachable("http://no-such-host.invalid")
