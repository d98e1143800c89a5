"""The cache of models of the Hub: shared, repaired, and whole after a kill."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import hub_faults
import pytest
from hub_models import NAME, cache, flip, refused
from hub_server import Fault, HubServer
from huggingface_hub import constants, hf_hub_download, scan_cache_dir

from robustfeat.features import hub, remote
from robustfeat.runtime.errors import IntegrityError, OfflineError


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
    server.faults = [Fault("HEAD", hub_faults.status(500))]
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
    server.faults = [Fault("GET /large/", hub_faults.trickle(4, 0.05))]  # so that they overlap
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
    server.faults = [Fault("GET /large/", hub_faults.trickle(4, 0.05, last=False))]
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
