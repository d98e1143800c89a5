"""An index of one model, searched with another that was kept in its space: by card, by digest, and for nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import pixels, write_images

from robustfeat.command_line.cli import main
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.patches import PatchExtractor
from robustfeat.index import FeatureIndex
from robustfeat.numerics.random import generator
from robustfeat.testing import small_network


@pytest.fixture
def original(tmp_path: Path) -> FeatureExtractor:
    network = small_network(0)
    hub.save(tmp_path / "original", network, Card("original", network.architecture, network.feature_dim))
    return hub.load(tmp_path / "original")


@pytest.fixture
def student(original: FeatureExtractor, tmp_path: Path) -> FeatureExtractor:
    """The original, moved a little; its card says whose space it is in."""
    network = small_network(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.01)
    card = Card("student", network.architecture, network.feature_dim, compatible_with=original.digest())
    hub.save(tmp_path / "student", network, card)
    return hub.load(tmp_path / "student")


@pytest.fixture
def index(original: FeatureExtractor, tmp_path: Path) -> Path:
    built = FeatureIndex(original.feature_dim, extractor=original.digest())
    return built.add(original.transform(torch.rand(20, 3, 8, 8, generator=generator(1)))).save(tmp_path / "index")


def test_the_originals_index_is_searched_and_not_changed(
    original: FeatureExtractor, student: FeatureExtractor, index: Path
) -> None:
    assert student.digests() == (student.digest(), original.digest())
    assert original.digests() == (original.digest(),)
    loaded = FeatureIndex.load(index, extractor=student.digests())
    queries = student.transform(torch.rand(3, 3, 8, 8, generator=generator(2)))
    assert np.array_equal(loaded.search(queries, 5).ids, FeatureIndex.load(index).search(queries, 5).ids)
    for change in (lambda: loaded.add(queries), lambda: loaded.remove([0]), lambda: loaded.shard().add(queries)):
        with pytest.raises(RuntimeError, match=f"{student.digest()[:12]} may only search it"):
            change()
    assert len(FeatureIndex.load(index, extractor=original.digests()).add(queries)) == 23


def test_everything_else_is_refused(original: FeatureExtractor, student: FeatureExtractor, index: Path) -> None:
    network = small_network(5)
    stranger = FeatureExtractor(network, Card("stranger", network.architecture, network.feature_dim))
    for extractor in (stranger.digests(), student.digest(), student.sized(16).digests(), ("", "")):
        with pytest.raises(ValueError, match="built with another extractor"):
            FeatureIndex.load(index, extractor=extractor)
    own = FeatureIndex(student.feature_dim, extractor=student.digest()).save(index.parent / "own")
    with pytest.raises(ValueError, match="built with another extractor"):  # not the other way round
        FeatureIndex.load(own, extractor=original.digests())
    assert len(PatchExtractor(student).digests()) == 1, "maps are not what was kept in place"


def test_the_card_keeps_it_and_old_cards_lack_it(original: FeatureExtractor, student: FeatureExtractor) -> None:
    assert Card.from_json(student.card.to_json()).compatible_with == original.digest()
    values = json.loads(original.card.to_json())
    assert "compatible_with" not in values
    assert Card.from_json(json.dumps(values)).compatible_with is None
    with pytest.raises(RuntimeError, match="compatible_with 3 is no digest"):
        Card.from_json(json.dumps(values | {"compatible_with": 3}))
    assert f"`{original.digest()}`" in student.card.readme()
    assert "searched" not in dataclasses.replace(student.card, compatible_with=None).readme()


def test_the_command_searches_and_refuses_to_add(
    original: FeatureExtractor, student: FeatureExtractor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "photos", pixels(12))
    names = {name: str(tmp_path / name) for name in ("original", "student", "photos", "built")}
    assert main(["index", "build", names["original"], names["photos"], "--out", names["built"]]) == 0
    capsys.readouterr()
    query = str(tmp_path / "photos" / "3.png")
    assert main(["index", "search", names["built"], query, "--model", names["student"], "--k", "1"]) == 0
    assert capsys.readouterr().out.split()[-1] == query
    write_images(tmp_path / "photos" / "more", pixels(2, seed=1))
    assert main(["index", "add", names["built"], names["photos"], "--model", names["student"]]) != 0
    assert "may only search it" in capsys.readouterr().err
    assert main(["index", "add", names["built"], names["photos"]]) == 0
    assert main(["index", "build", names["student"], names["photos"], "--like", names["built"], "--out", "x"]) != 0
