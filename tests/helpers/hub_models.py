"""What the tests of models on the Hub share: the names, and what a load gives or refuses."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.testing import small_network

NAME = "hf:org/repo"
LIMIT = 2.0  # seconds to an error, of which 1.5 are silence


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
