"""robustfeat index on a folder of images, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from robustfeat.command_line.cli import main
from robustfeat.data import dataset
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor


@pytest.fixture
def model(extractor: FeatureExtractor, tmp_path: Path) -> str:
    network = extractor.network
    hub.save(tmp_path / "model", network, Card("small", network.architecture, network.feature_dim))
    return str(tmp_path / "model")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty digits in two folders, and a file that is no image."""
    pixels = dataset("digits", "test[:40]").pixels(torch.arange(40)).permute(0, 2, 3, 1).numpy()
    for i, image in enumerate(pixels):
        path = tmp_path / "photos" / str(i % 2) / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return tmp_path / "photos"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "HNSW8"])
def test_build_search_add(
    factory: str, model: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, query = tmp_path / "index", photos / "1" / "07.png"
    built = run(capsys, "index", "build", model, photos, "--factory", factory, "--out", index)
    assert built["items"] == 40
    assert built["skipped"] == [str(photos / "broken.png")]
    found = run(capsys, "index", "search", index, query, "--k", 5, "--sheet", tmp_path / "sheet.png")
    assert [entry["rank"] for entry in found] == [1, 2, 3, 4, 5]
    assert found[0]["path"] == str(query)
    assert found[0]["score"] == pytest.approx(1, abs=1e-5)
    if factory == "Flat":
        paths = sorted(photos.rglob("[0-9]*.png"))
        features = hub.load(model).transform(paths)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        cosines = features @ features[paths.index(query)]
        assert [entry["path"] for entry in found] == [str(paths[i]) for i in (-cosines).argsort(kind="stable")[:5]]
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.size == (6 * 132, 146)
    assert np.asarray(sheet).std() > 5

    assert run(capsys, "index", "add", index, photos)["items"] == 40, "what is there is not added again"
    Image.open(query).rotate(90).save(photos / "new.png")
    assert run(capsys, "index", "add", index, photos)["items"] == 41
    facts = run(capsys, "index", "info", index)
    assert (facts["items"], facts["factory"], facts["width"]) == (41, factory, 256)


def test_mistakes(model: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = tmp_path / "index"
    run(capsys, "index", "build", model, photos, "--out", index)
    (tmp_path / "empty").mkdir()
    network = hub.load(model).network
    with torch.no_grad():
        network.model.fc.weight.add_(1)
    hub.save(tmp_path / "other", network, Card("other", network.architecture, network.feature_dim))
    for arguments, code, message in (
        (["build", model, tmp_path / "nowhere", "--out", index], 2, "no such folder of images"),
        (["build", model, tmp_path / "empty", "--out", index], 2, "has no image files"),
        (["build", model, photos, "--factory", "Falt", "--out", index], 2, "factory 'Falt'"),
        (["build", model, photos, "--factory", "IVF4096,Flat", "--out", index], 2, "too few to train"),
        (["search", index, tmp_path / "none.png"], 2, "no such image"),
        (["search", index, photos / "broken.png"], 2, "is not an image that can be read"),
        (["search", index, photos / "1" / "07.png", "--k", 0], 2, r"k must be in 1..40"),
        (["search", index, photos / "1" / "07.png", "--model", tmp_path / "other"], 2, "another extractor"),
        (["search", tmp_path / "empty", photos / "1" / "07.png"], 2, "holds no index"),
    ):
        assert main(["index", *map(str, arguments)]) == code, arguments
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert message in error, (arguments, error)
    assert run(capsys, "index", "info", index)["items"] == 40
    (index / "index.json").write_text("{}")
    assert main(["index", "info", str(index)]) == 3


@pytest.mark.parametrize("factory", ["Flat", "IVF2,Flat"])
def test_shards(factory: str, model: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, whole, query = tmp_path / "one", tmp_path / "two", tmp_path / "whole", photos / "1" / "07.png"
    run(capsys, "index", "build", model, photos / "0", "--factory", factory, "--out", one)
    run(capsys, "index", "build", model, photos / "1", "--like", one, "--first-id", 100, "--out", two)
    assert run(capsys, "index", "merge", one, two, "--out", whole) == {"items": 40, "shards": 2, "index": str(whole)}
    found = run(capsys, "index", "search", whole, query, "--k", 40, "--mmap")
    assert sorted(entry["id"] for entry in found) == [*range(20), *range(100, 120)]
    assert found == run(capsys, "index", "search", whole, query, "--k", 40)
    assert found[0]["path"] == str(query)
    facts = run(capsys, "index", "info", whole)
    assert (facts["items"], facts["factory"], facts["model"]) == (40, factory, str(Path(model).resolve()))
    for arguments, message in (
        (["merge", one, one, "--out", whole], "ids must not repeat"),
        (["merge", one, tmp_path / "none", "--out", whole], "holds no index"),
        (["build", model, photos, "--like", one, "--metric", "l2", "--out", two], "leave --factory and --metric out"),
        (["build", model, photos, "--first-id", -1, "--out", two], "ids must not be negative, got -1"),
    ):
        assert main(["index", *map(str, arguments)]) == 2, arguments
        assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert run(capsys, "index", "info", two)["items"] == 20


def test_folders_are_read_as_data_sets_are(
    model: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same files are left out, and counted in one line."""
    (photos / "0" / ".hidden.png").write_bytes((photos / "0" / "00.png").read_bytes())
    (photos / "0" / "bare").write_bytes((photos / "0" / "00.png").read_bytes())
    (photos / "0" / "notes.txt").touch()
    (photos / "1" / "loop").symlink_to(photos)
    assert main(["index", "build", model, str(photos), "--out", str(tmp_path / "index")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert lines == [
        f"left out: 1 that cannot be read ({photos / 'broken.png'}), 1 hidden, 1 links to folders that are read already, "
        "2 of other formats or without a suffix"
    ]
    (photos / "broken.png").unlink()
    assert len(dataset(photos)) == 40


def test_the_index_turns_photographs(
    model: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the camera stored lying on its side is found by what it shows, and shown so on the sheet."""
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.open(photos / "1" / "07.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "query.png", exif=exif)
    run(capsys, "index", "build", model, photos, "--metric", "l2", "--out", tmp_path / "index")
    query, sheet = tmp_path / "query.png", tmp_path / "sheet.png"
    (found,) = run(capsys, "index", "search", tmp_path / "index", query, "--k", 1, "--sheet", sheet)
    assert found["path"] == str(photos / "1" / "07.png")
    assert found["score"] == pytest.approx(0, abs=1e-5)
    shown = np.asarray(Image.open(sheet).convert("RGB"))
    assert np.array_equal(shown[2:130, 2:130], shown[2:130, 134:262])
