"""Models of the Hub, from a server on this machine: what was pushed is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hub_models import NAME, other_model, refused
from hub_server import HubServer

from robustfeat.command_line import cli
from robustfeat.features import hub
from robustfeat.tasks import named


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
    assert named(f"head:{NAME}").options()["weights"] == hub.read_card(hub.find(NAME)).weights.sha256
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
