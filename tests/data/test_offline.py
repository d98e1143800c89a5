"""Files need no network; where the Hub is needed and away, that is said within seconds."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import datasets
import pytest
from image_files import pixels, write_parquet

from robustfeat.data import dataset
from robustfeat.runtime.errors import OfflineError


def test_files_ask_no_network(by_class: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*arguments: object, **options: object) -> None:
        asked.append(arguments)
        raise OSError("no network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert len(dataset(by_class)) == 5
    assert len(dataset(write_parquet(tmp_path / "x.parquet", pixels(2)))) == 2
    assert asked == []


@pytest.mark.parametrize("name", ["owner/name", "owner/name:config", "cifar10", "stl10", "fashion-mnist"])
@pytest.mark.usefixtures("offline")
def test_offline_is_said_quickly(name: str) -> None:
    begin = time.monotonic()
    with pytest.raises(OfflineError, match="not in the cache and the Hub cannot be reached"):
        dataset(name)
    assert time.monotonic() - begin < 3


def test_a_split_that_the_hub_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ValueError("Unknown split \"tset\". Should be one of ['train', 'test'].")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(KeyError) as caught:
        dataset("owner/name", "tset")
    assert str(caught.value).startswith("data set 'owner/name' has no split 'tset'")
