"""Weights in parts: the same bits come back, and a part that is missing, damaged or one too many is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from trained_network import trained

from robustfeat.command_line import cli
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.parts import INDEX, WEIGHTS, FileFacts
from robustfeat.features.weights import write_weights
from robustfeat.publishing.exported import export
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import sha256

LIMIT = 40_000  # bytes: the small network has three parts then


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "whole"
    network = trained()
    hub.save(folder, network, Card("whole", network.architecture, network.feature_dim))
    return folder


@pytest.fixture
def parts(whole: Path, tmp_path: Path) -> Path:
    export(whole, tmp_path / "parts", max_shard_size=LIMIT)
    return tmp_path / "parts"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("model*"))


def test_the_same_bits_come_back(whole: Path, parts: Path) -> None:
    stored = load_file(whole / WEIGHTS)
    count = len(list(parts.glob("model-*.safetensors")))
    assert count >= 3
    assert names(parts) == [*(f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)), INDEX]
    state = hub.load(parts).network.model.state_dict()
    assert state.keys() == stored.keys()
    assert all(torch.equal(value, stored[key]) for key, value in state.items())


def test_the_index_is_that_of_the_hub(whole: Path, parts: Path) -> None:
    """Every tensor lies in the part that the index says, in no other, and the parts keep to the limit."""
    index, stored = json.loads((parts / INDEX).read_text()), load_file(whole / WEIGHTS)
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in stored.values())
    found: dict[str, str] = {}
    for path in sorted(parts.glob("model-*.safetensors")):
        tensors = load_file(path)
        assert len(tensors) == 1 or sum(value.nbytes for value in tensors.values()) <= LIMIT
        for key, value in tensors.items():
            assert torch.equal(value, stored[key])
            assert found.setdefault(key, path.name) == path.name
    assert index["weight_map"] == found


def test_the_card_describes_each_file_and_all_together(parts: Path) -> None:
    weights = hub.read_card(parts).weights
    assert set(weights.files) == set(names(parts))
    for name, facts in weights.files.items():
        assert facts == FileFacts((parts / name).stat().st_size, sha256(parts / name))
    one = parts.parent / "one after another"
    one.write_bytes(b"".join(path.read_bytes() for path in sorted(parts.glob("model-*.safetensors"))))
    assert (weights.bytes, weights.sha256) == (one.stat().st_size, sha256(one))
    assert weights.sha256 in (parts / "README.md").read_text()


@pytest.mark.parametrize("size", [None, 10**9, "1GB", "15 mb", "1.5MB"])
def test_what_fits_into_one_file_is_one_file(whole: Path, tmp_path: Path, size: int | str | None) -> None:
    card = export(whole, tmp_path / "one", max_shard_size=size)
    assert names(tmp_path / "one") == [WEIGHTS]
    assert (tmp_path / "one" / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert card.weights == hub.read_card(whole).weights


@pytest.mark.parametrize("size", [0, -1, "", "15", "MB", "-5MB", "0MB", "15MiB", "all"])
def test_what_is_no_size_is_refused(whole: Path, tmp_path: Path, size: int | str) -> None:
    with pytest.raises(
        ValueError, match=r"max_shard_size must be a number of bytes, or a size such as '15MB', above 0"
    ):
        export(whole, tmp_path / "none", max_shard_size=size)


def test_flips_and_truncations_are_found_and_named(parts: Path) -> None:
    random, found = np.random.default_rng(0), 0
    for name in names(parts):
        path = parts / name
        content = path.read_bytes()
        flips = [0, 8, len(content) - 1, *random.integers(0, len(content), 47).tolist()]
        for offset in flips:
            path.write_bytes(
                content[:offset] + bytes([content[offset] ^ 1 << random.integers(8)]) + content[offset + 1 :]
            )
            with pytest.raises(IntegrityError, match=f"{name} is damaged"):
                hub.load(parts)
            found += 1
        for length in (0, 1, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            with pytest.raises(IntegrityError, match=f"{name} has {length} bytes instead of {len(content)}"):
                hub.load(parts)
        path.write_bytes(content)
    assert found >= 200
    hub.load(parts)


def test_a_missing_or_surplus_part_is_named(whole: Path, parts: Path) -> None:
    for name in names(parts):
        (parts / name).rename(parts / "aside")
        with pytest.raises(IntegrityError, match=f"{name} is missing; fetch the model again"):
            hub.load(parts)
        (parts / "aside").rename(parts / name)
    for folder, surplus in ((parts, WEIGHTS), (parts, "model-00001-of-00002.safetensors"), (whole, INDEX)):
        (folder / surplus).write_bytes(b"")
        with pytest.raises(IntegrityError, match=f"{surplus} is no part of these weights"):
            hub.load(folder)
        (folder / surplus).unlink()
    hub.load(parts)


def change(folder: Path, what: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "card.json").read_text())
    what(values["weights"])
    (folder / "card.json").write_text(json.dumps(values))


HOSTILE = [
    ({}, "names no weights in parts"),
    ([], "names no weights in parts"),
    ("model.safetensors", "names no weights in parts"),
    ({INDEX: {}}, "names no weights in parts"),
    ({INDEX: {}, "../../secret": {}}, "'../../secret' as a file of weights"),
    ({INDEX: {}, "model-00001-of-00002.safetensors/../x": {}}, "as a file of weights"),
    ({INDEX: {}, WEIGHTS: {}}, "'model.safetensors' as a file of weights"),
    ({INDEX: {}, "model-00001-of-00001.safetensors": 7}, "as a file of weights"),
]


@pytest.mark.parametrize(("files", "message"), HOSTILE)
def test_hostile_cards_name_no_other_files(parts: Path, files: object, message: str) -> None:
    change(parts, lambda weights: weights.update(files=files))
    with pytest.raises(IntegrityError, match=message):
        hub.load(parts)


def test_a_card_whose_total_is_another_is_refused(parts: Path) -> None:
    """By it a teacher is known."""
    change(parts, lambda weights: weights.update(sha256="0" * 64))
    with pytest.raises(IntegrityError, match="bytes and sha256 of all parts together differ"):
        hub.load(parts)


def test_a_tensor_in_two_parts_is_refused(parts: Path) -> None:
    first, second, *_ = sorted(parts.glob("model-*.safetensors"))
    save_file(load_file(first) | load_file(second), second)

    def sign(weights: dict[str, Any]) -> None:
        weights["files"][second.name] = {"bytes": second.stat().st_size, "sha256": sha256(second)}
        every = sorted(parts.glob("model-*.safetensors"))
        weights.update(bytes=sum(path.stat().st_size for path in every), sha256=sha256(*every))

    change(parts, sign)
    with pytest.raises(IntegrityError, match=f"{second.name} holds .*which another part holds too"):
        hub.load(parts)


def test_weights_of_before_are_removed(whole: Path, parts: Path) -> None:
    network, card = hub.load_network(whole)
    before = set(names(parts))
    hub.save(parts, network, card, max_shard_size=5_000)
    assert not (set(names(parts)) - {INDEX}) & before
    assert hub.load(parts).digest() == hub.load(whole).digest()
    hub.save(parts, network, card)
    assert names(parts) == [WEIGHTS]
    assert hub.load(parts).digest() == hub.load(whole).digest()


def test_a_tensor_larger_than_the_limit_has_a_file_of_its_own(tmp_path: Path) -> None:
    facts = write_weights(tmp_path, {"a": torch.zeros(2), "b": torch.zeros(500), "c": torch.zeros(2)}, 100)
    sizes = [sorted(load_file(path)) for path in sorted(tmp_path.glob("model-*"))]
    assert ["b"] in sizes
    assert len(facts.files) == len(sizes) + 1


def test_the_command(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(whole), str(tmp_path / "mine"), "--half", "--max_shard_size", "0.02MB"]) == 0
    assert " parts, float16" in capsys.readouterr().out
    assert hub.load(tmp_path / "mine").card.weights.file == INDEX
    shutil.rmtree(tmp_path / "mine")
    assert cli.main(["export", str(whole), str(tmp_path / "mine"), "--max_shard_size", "much"]) == 2
