"""Models to the Hub and back, with a server on this machine."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hub_faults
import hub_server
import pytest
import torch
import yaml
from hub_faults import status
from hub_server import TOKEN, Fault, HubServer, Repo

from robustfeat import cli, hub
from robustfeat import push as pushing
from robustfeat.architecture import Architecture, Stem
from robustfeat.card import Card
from robustfeat.errors import IntegrityError, OfflineError
from robustfeat.network import new_network
from robustfeat.push import push
from robustfeat.recipe import Recipe
from robustfeat.report import Report
from robustfeat.testing import small_network

REPORT = Report("small", {}, "none", (), setup={"data": "digits"})
FILES = ["README.md", "card.json", "config.json", "model.safetensors"]


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


def sent(server: HubServer, folder: Path) -> dict[str, bytes]:
    """The files that the Hub has after a push."""
    pushed = push(folder, "org/repo")
    return server.repos["org/repo"].commits[pushed.commit]


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


def test_the_page_is_right_for_the_hub(server: HubServer, folder: Path) -> None:
    text = sent(server, folder)["README.md"].decode()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "license": "apache-2.0",
        "library_name": "robustfeat",
        "pipeline_tag": "image-feature-extraction",
        "tags": ["robustfeat", "adversarial-robustness"],
    }
    assert body.startswith("\n# small\n")
    assert 'robustfeat.load("hf:org/repo")' in body
    assert 'load("small")' not in body
    (folder / "README.md").write_text("---\nlicense: mit\n---\nMine.\n")  # somebody's own stays as it is
    text = sent(server, folder)["README.md"].decode()
    assert text == "---\nlicense: mit\n---\nMine.\n"


def test_the_page_of_a_branch_loads_that_branch(server: HubServer, folder: Path) -> None:
    card = replace(hub.read_card(folder), reports=(REPORT,))
    (folder / "card.json").write_text(card.to_json())
    pushed = push(folder, "org/repo@try/1")
    text = server.repos["org/repo"].commits[pushed.commit]["README.md"].decode()
    assert 'robustfeat.load("hf:org/repo@try/1")' in text
    assert "robustfeat reproduce hf:org/repo@try/1 --quick" in text
    assert hub.load(re.findall(r'load\("(.*)"\)', text)[0]).digest() == pushed.digest


def test_nothing_says_where_the_model_was_made(server: HubServer, folder: Path, tmp_path: Path) -> None:
    """Though it was never published: of paths the last part goes up, in card and page; the folder keeps what it has."""
    recipe = Recipe(data="/home/me/cats", teacher="/home/me/runs/best", start="~/runs/start")
    card = hub.read_card(folder)
    network = hub.load(folder).network
    made = replace(card, objective="kd", recipe=recipe, data={"name": "/home/me/cats"}, teacher={"name": "at-x"})
    hub.save(folder, network, made)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert b"/home/me/cats" in before["README.md"]
    files = sent(server, folder)
    for name in ("card.json", "README.md"):
        assert not re.search(rb"/home|me/|~|" + str(tmp_path).encode(), files[name]), name
    assert b"--teacher at-x" in files["README.md"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    loaded = hub.load("hf:org/repo")
    assert loaded.digest() == hub.load(folder).digest()
    assert loaded.card.recipe == replace(recipe, data="cats", teacher="at-x", start="start")
    assert loaded.card.weights == hub.read_card(folder).weights


def test_timm_is_a_tag_where_timm_alone_can_load_it(server: HubServer, tmp_path: Path) -> None:
    stems: dict[Stem, bool] = {"timm": True, "cifar": False}
    for stem, tagged in stems.items():
        network = new_network(Architecture("test_resnet", stem))
        hub.save(tmp_path / stem, network, Card(stem, network.architecture, network.feature_dim))
        text = sent(server, tmp_path / stem)["README.md"]
        assert (b"- timm\n" in text) == tagged


def test_folders_of_the_first_version(server: HubServer, folder: Path) -> None:
    written = (folder / "config.json").read_bytes()
    (folder / "config.json").unlink()
    (folder / "README.md").unlink()
    files = sent(server, folder)
    assert files["config.json"] == written
    assert b"# small\n" in files["README.md"]


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


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("repo", {}, "'repo' has no owner; give ORG/REPO"),
        ("a/b/c", {}, "is not hf:ORG/REPO"),
        ("org/repo", {"revision": "0" * 40}, "is a commit"),
        ("org/repo", {"revision": "a..b"}, "is not the name of a branch"),
    ],
)
def test_targets_that_are_none(server: HubServer, folder: Path, to: str, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        push(folder, to, **options)
    assert server.requests == []


def test_a_damaged_folder_is_not_sent(server: HubServer, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(IntegrityError, match="is damaged"):
        push(folder, "org/repo")
    with pytest.raises(FileNotFoundError, match="no such model folder"):
        push("./none", "org/repo")
    assert server.requests == []


def test_without_a_token(server: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        PermissionError, match="needs a token that may write: log in with `hf auth login`, or set HF_TOKEN"
    ):
        push(folder, "org/repo")
    assert server.requests == []
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(PermissionError, match=r"the Hub answers 401 .*hf auth login"):
        push(folder, "org/repo")


def test_without_network(server: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(OfflineError, match="can not be reached"):
        push(folder, "org/repo")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OfflineError, match="HF_HUB_OFFLINE is set"):
        push(folder, "org/repo")


FAULTS = {
    "create 403": ("create", status(403), PermissionError, "403"),
    "create 500": ("create", status(500), OfflineError, "HTTP 500.*the branch is as it was"),
    "create hangs": ("create", hub_faults.hang, OfflineError, "ReadTimeout"),
    "upload 403": ("PUT", status(403), PermissionError, "403"),
    "commit 409": ("/commit/", status(409), ValueError, "HTTP 409"),
    "commit 503": ("/commit/", status(503), OfflineError, "HTTP 503"),
    "commit hangs": ("/commit/", hub_faults.hang, OfflineError, "ReadTimeout"),
}


@pytest.mark.parametrize(("where", "act", "kind", "message"), FAULTS.values(), ids=FAULTS)
def test_what_fails_is_named(
    server: HubServer, folder: Path, where: str, act: Any, kind: type[Exception], message: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(pushing, "SILENCE", 0.3)
    server.faults = [Fault(where, act)]
    with pytest.raises(kind, match=message):
        push(folder, "org/repo")
    assert not any("card.json" in files for repo in server.repos.values() for files in repo.commits.values())
    server.faults = []
    assert push(folder, "org/repo").digest == hub.load("hf:org/repo").digest()


def test_a_commit_that_can_not_be_loaded_back_is_named(server: HubServer, folder: Path) -> None:
    server.faults = [Fault("GET .*safetensors", status(500))]
    with pytest.raises(
        OfflineError, match=r"pushed as commit [0-9a-f]{40}, but it could not be loaded back: .*HTTP 500"
    ):
        push(folder, "org/repo")
    server.faults = []
    assert hub.load("hf:org/repo").digest() == hub.load(folder).digest()


def test_what_arrived_changed_is_noticed(server: HubServer, folder: Path, tmp_path: Path) -> None:
    other = small_network(1)
    card = hub.save(tmp_path / "other", other, Card("small", other.architecture, other.feature_dim))

    def swap(handler: Any) -> bool:
        """Somebody pushes other weights to where this commit will be looked for."""
        handler.commit("org/repo", "main")
        repo = handler.server.repos["org/repo"]
        whole = repo.commits[repo.branches["main"]]
        whole |= {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()}
        return False

    server.faults = [Fault("/commit/", swap)]
    with pytest.raises(IntegrityError, match="has other weights"):
        push(folder, "org/repo")
    assert card.weights != hub.read_card(folder).weights


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


def test_a_licence_is_spelt_as_the_hub_spells_it(server: HubServer, folder: Path) -> None:
    card = hub.read_card(folder)
    (folder / "card.json").write_text(replace(card, licence="CC-BY-4.0").to_json())
    text = sent(server, folder)["README.md"].decode()
    assert "license: cc-by-4.0\n" in text


DOCS = (Path(__file__).resolve().parent.parent / "docs" / "hub.md").read_text(encoding="utf-8")


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
