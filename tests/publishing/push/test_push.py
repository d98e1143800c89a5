"""Models to the Hub and back, with a server on this machine."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from hub_repo import Repo
from hub_server import HubServer
from repository import ROOT

from robustfeat.command_line import cli
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.publishing.hub_upload import push
from robustfeat.testing import small_network

FILES = ["README.md", "card.json", "config.json", "model.safetensors"]


def test_what_was_pushed_is_loaded(server: HubServer, folder: Path) -> None:
    pushed = push(folder, "org/repo", message="first")
    repo = server.repos["org/repo"]
    assert (pushed.repo, pushed.branch, pushed.commit) == ("org/repo", "main", repo.branches["main"])
    assert pushed.url == f"{server.url}/org/repo"
    assert (repo.private, repo.messages[-1], len(repo.commits)) == (
        False,
        "first",
        2,
    )  # one commit, after that of the Hub
    files = repo.commits[pushed.commit]
    assert sorted(set(files) - {".gitattributes"}) == FILES
    for name in ("card.json", "model.safetensors", "config.json"):
        assert files[name] == (folder / name).read_bytes()
    loaded = hub.load("hf:org/repo")
    assert loaded.digest() == pushed.digest == hub.load(folder).digest()
    assert loaded.card == hub.load(folder).card


def test_it_is_loaded_back_from_the_hub_and_not_from_the_cache(server: HubServer, folder: Path) -> None:
    push(folder, "org/repo")
    hub.load("hf:org/repo")
    server.requests.clear()
    pushed = push(folder, "org/repo")  # the same again
    assert server.count(f"GET /org/repo/resolve/{pushed.commit}/model.safetensors") == 1
    assert server.count("PUT") == 0  # which the Hub has already


def test_branches(server: HubServer, folder: Path) -> None:
    pushed = push(folder, "org/repo@try/1")
    repo = server.repos["org/repo"]
    assert repo.branches["try/1"] == pushed.commit != repo.branches["main"]
    assert hub.load("hf:org/repo@try/1").digest() == pushed.digest
    again = push(folder, "hf:org/repo", revision="try/1", message="again")
    assert hub.load("hf:org/repo", revision="try/1").digest() == again.digest


def test_from_one_repository_to_another(server: HubServer, folder: Path) -> None:
    first = push(folder, "org/repo")
    second = push("hf:org/repo", "other/copy")
    assert first.digest == second.digest == hub.load("hf:other/copy").digest()


def test_private_means_private(server: HubServer, folder: Path) -> None:
    push(folder, "org/repo", private=True)
    assert server.repos["org/repo"].private
    server.repos["org/open"] = Repo()
    server.repos["org/open"].commit({"a": b""})
    server.requests.clear()
    with pytest.raises(ValueError, match="'org/open' exists already and is public; nothing was uploaded"):
        push(folder, "org/open", private=True)
    assert server.count("PUT|upload|commit") == 0


def test_the_command(server: HubServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["push", str(folder), "--to", "org/repo", "--private", "--revision", "next", "--message", "two words"]
    assert cli.main(command) == 0
    repo, out = server.repos["org/repo"], capsys.readouterr().out
    commit = repo.branches["next"]
    assert f"pushed to {server.url}/org/repo, branch next, commit {commit}\n" in out
    assert f"the digest of the weights is the same, {hub.load(folder).digest()}\n" in out
    assert f'robustfeat.load("hf:org/repo@{commit}")\n' in out
    assert (repo.private, repo.messages[-1]) == (True, "two words")
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["branch"] == "next"
    assert cli.main(["push", str(folder), "--to", "repo"]) == 2
    assert cli.main(["push", str(folder)]) == 2


DOCS = (ROOT / "docs" / "guide" / "hub.md").read_text(encoding="utf-8")


def test_the_examples_of_the_documentation_run(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small_network(0)
    hub.save(tmp_path / "runs/student/best", network, Card("s", network.architecture, network.feature_dim))
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^robustfeat (push .*)$", DOCS, flags=re.MULTILINE)
    assert [cli.main(shlex.split(command)) for command in commands] == [0, 0]
    examples = re.findall(r"```python\n(.*?)```", DOCS, flags=re.DOTALL)
    commit, names = server.repos["ORG/REPO"].branches["next"], {}
    assert len(examples) == 4
    with torch.random.fork_rng(devices=[]):  # timm draws first weights
        for example in examples:
            exec(compile(example.replace("COMMIT", commit), "hub.md", "exec"), names)
    assert names["extractor"].digest() == names["pushed"].digest
