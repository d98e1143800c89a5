"""What a push makes of the model's page and card: right for the Hub, and silent about this machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import yaml
from hub_server import HubServer

from robustfeat.backbones.architecture import Architecture, Stem
from robustfeat.backbones.network import new_network
from robustfeat.features import hub
from robustfeat.features.card import Card, ModelRef
from robustfeat.features.recipe import Recipe
from robustfeat.publishing.hub_upload import push
from robustfeat.report import DataFacts, Report, Setup, Splits

REPORT = Report("small", Splits(), "none", (), setup=Setup("digits"))


def sent(server: HubServer, folder: Path) -> dict[str, bytes]:
    """The files that the Hub has after a push."""
    pushed = push(folder, "org/repo")
    return server.repos["org/repo"].commits[pushed.commit]


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
    made = replace(card, objective="kd", recipe=recipe, data=DataFacts("/home/me/cats", 9), teacher=ModelRef("at-x"))
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


def test_a_licence_is_spelt_as_the_hub_spells_it(server: HubServer, folder: Path) -> None:
    card = hub.read_card(folder)
    (folder / "card.json").write_text(replace(card, licence="CC-BY-4.0").to_json())
    text = sent(server, folder)["README.md"].decode()
    assert "license: cc-by-4.0\n" in text
