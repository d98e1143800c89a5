"""Weights in parts to the Hub, in the place of those in one file, and back."""

from __future__ import annotations

from pathlib import Path

from hub_server import HubServer

from robustfeat.features import hub
from robustfeat.features.parts import INDEX, WEIGHTS
from robustfeat.publishing.exported import export
from robustfeat.publishing.hub_upload import push


def weights_there(server: HubServer) -> list[str]:
    repo = server.repos["org/repo"]
    return sorted(name for name in repo.commits[repo.branches["main"]] if name.startswith("model"))


def test_parts_take_the_place_of_one_file_and_back(server: HubServer, folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "three", max_shard_size=20_000)
    export(folder, tmp_path / "many", max_shard_size=5_000)
    digest = hub.load(folder).digest()
    seen = []
    for sent in (folder, tmp_path / "three", tmp_path / "many", folder):
        assert push(sent, "org/repo").digest == digest
        assert weights_there(server) == sorted(path.name for path in sent.glob("model*"))
        assert hub.load("hf:org/repo").digest() == digest
        seen.append(weights_there(server))
    assert INDEX in seen[1]
    assert len(seen[2]) > len(seen[1]) > 2
    assert seen[0] == seen[3] == [WEIGHTS]
