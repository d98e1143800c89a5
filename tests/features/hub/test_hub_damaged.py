"""Damaged and hostile model folders: what is not what was saved is refused, and never run."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robustfeat.features import hub
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import sha256


def change_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "card.json").read_text())
    change(values)
    (folder / "card.json").write_text(json.dumps(values))


def sign(folder: Path) -> None:
    """Make the card agree with whatever the weights are, as a hostile publisher would."""
    path = folder / "model.safetensors"
    change_card(folder, lambda card: card["weights"].update(bytes=path.stat().st_size, sha256=sha256(path)))


def test_flipped_bits_are_found(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole, random = path.read_bytes(), np.random.default_rng(0)
    offsets = [0, 7, 8, 9, len(whole) - 1, *random.integers(0, len(whole), 40).tolist()]
    for offset in offsets:
        bit = 1 << int(random.integers(8))
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ bit]) + whole[offset + 1 :])
        with pytest.raises(IntegrityError, match="is damaged: its sha256 is not the one in its card"):
            hub.load(copy)
    path.write_bytes(whole)
    hub.load(copy)


def test_other_sizes_are_found(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole = path.read_bytes()
    lengths = [0, 1, 8, 100, len(whole) - 1, *np.random.default_rng(1).integers(0, len(whole), 8).tolist()]
    for wrong in [whole[:length] for length in lengths] + [whole + b"\0", b"<html>rate limited</html>"]:
        path.write_bytes(wrong)
        with pytest.raises(
            IntegrityError, match=f"has {len(wrong)} bytes instead of {len(whole)}; fetch the model again"
        ):
            hub.load(copy)


def test_missing_files_are_named(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(IntegrityError, match=r"model\.safetensors is missing"):
        hub.load(copy)
    (copy / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no card\.json; it is not a saved model"):
        hub.load(copy)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"7", b'"card"', b"{}", b'{"format": 4}', b"<html>", b"\xff\xfe", b"[" * 100_000],
    ids=lambda text: text[:12],
)
def test_what_is_no_card_is_refused(copy: Path, text: bytes) -> None:
    (copy / "card.json").write_bytes(text)
    with pytest.raises(IntegrityError, match=r"card\.json (is not a valid card|cannot be read)"):
        hub.load(copy)


@pytest.mark.parametrize("version", [0, 1, 5, "4", None])
def test_another_format_is_refused(copy: Path, version: object) -> None:
    change_card(copy, lambda card: card.update(format=version))
    with pytest.raises(IntegrityError, match=f"card format {version!r} is none of 2, 3, 4; install the version"):
        hub.load(copy)


def test_the_format_of_framings_has_one(copy: Path) -> None:
    change_card(copy, lambda card: card.update(format=3))
    with pytest.raises(IntegrityError, match=r"not a valid card .*a card of format 3 lacks a framing"):
        hub.load(copy)


REQUIRED = ["format", "name", "architecture", "feature_dim", "recipe", "reports", "classes", "weights", "data"]


@pytest.mark.parametrize("key", REQUIRED)
def test_a_card_without_an_entry_is_refused(copy: Path, key: str) -> None:
    change_card(copy, lambda card: card.pop(key))
    with pytest.raises(IntegrityError, match=f"not a valid card .*{key}"):
        hub.load(copy)


@pytest.mark.parametrize("value", [7, "x", ["x"]], ids=repr)
@pytest.mark.parametrize("key", ["architecture", "weights", "options", "recipe", "reports", "extra"])
def test_entries_of_another_kind_are_refused(copy: Path, key: str, value: object) -> None:
    change_card(copy, lambda card: card.update({key: value}))
    with pytest.raises(IntegrityError, match="is not a valid card"):
        hub.load(copy)


@pytest.mark.parametrize("value", [None, "x", [1], {}], ids=repr)
@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(hub.Architecture)])
def test_an_architecture_of_another_kind_is_refused(copy: Path, key: str, value: object) -> None:
    change_card(copy, lambda card: card["architecture"].update({key: value}))
    error = KeyError if (key, value) == ("name", "x") else IntegrityError
    with pytest.raises(error):
        hub.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card["architecture"].update(classes=5), "does not hold the weights of cnn_tiny"),
        (lambda card: card["architecture"].update(name="cnn_small"), "does not hold the weights of cnn_small"),
        (lambda card: card.update(feature_dim=128), "gives 256 features, its card says 128"),
        (lambda card: card["weights"].update(sha256="0" * 64), "sha256"),
        (lambda card: card["weights"].clear(), "is not described in the card"),
    ],
)
def test_a_card_of_another_model_is_refused(copy: Path, change: Callable[[Any], object], message: str) -> None:
    change_card(copy, change)
    with pytest.raises(IntegrityError, match=message):
        hub.load(copy)


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "write", [lambda bomb, path: path.write_bytes(pickle.dumps(bomb)), torch.save], ids=["pickle", "torch"]
)
def test_pickles_under_our_name_do_not_run(copy: Path, tmp_path: Path, write: Callable[[Bomb, Path], object]) -> None:
    trap = tmp_path / "trap"
    write(Bomb(trap), copy / "model.safetensors")
    sign(copy)
    with pytest.raises(IntegrityError, match="does not hold the weights"):
        hub.load(copy)
    assert not trap.exists()


@pytest.mark.parametrize("header", [2**60, 2**63 - 1, 2**64 - 1, 10**9, 2])
def test_hostile_headers_cost_nothing(copy: Path, header: int) -> None:
    (copy / "model.safetensors").write_bytes(header.to_bytes(8, "little") + b"{}")
    sign(copy)
    begin = time.monotonic()
    with pytest.raises(IntegrityError, match="does not hold the weights"):
        hub.load(copy)
    assert time.monotonic() - begin < 1
