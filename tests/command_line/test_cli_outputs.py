"""The suffix of an output decides its format, or is refused before any work; sizes and broken images by options."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_runs import refused, run
from PIL import Image
from safetensors.numpy import load_file

import robustfeat
from robustfeat.report import Report


@pytest.mark.parametrize("suffix", [".csv", ".txt", ""])
def test_features_in_other_formats_are_refused(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"f{suffix}"
    words = ("extract", world / "ten", "--data", "digits", "--split", "test[:5]", "--out", out)
    assert "features are written as .safetensors" in refused(capsys, 2, *words)
    assert not out.exists()


def test_reports_are_json_or_markdown(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("evaluate", world / "ten", "--data", "digits", "--task", "probe", "--train", "train[:50]", "--limit", "20")
    assert run(*words, "--out", tmp_path / "r.json") == 0
    assert run(*words, "--out", tmp_path / "r.md") == 0
    report = Report.load(tmp_path / "r.json")
    text = (tmp_path / "r.md").read_text()
    assert text.startswith("# Report\n")
    assert f"{report.value('probe', 'accuracy'):.3f}" in text
    capsys.readouterr()
    assert "reports are written as .json or .md" in refused(capsys, 2, *words, "--out", tmp_path / "r.yaml")


def test_the_size_of_images(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.safetensors"
    words = ("extract", world / "ten", "--data", "digits", "--split", "test[:5]", "--out", out)
    assert run(*words, "--image_size", "12") == 0
    data = robustfeat.dataset("digits", "test[:5]", image_size=12)
    wanted = robustfeat.load(world / "ten").network.features(data.batch(torch.arange(5)).images).detach().numpy()
    assert np.allclose(load_file(out)["features"], wanted, atol=1e-5)
    own, other = robustfeat.load(world / "ten"), robustfeat.load(world / "ten", image_size=12)
    assert own.digest() != other.digest()
    assert robustfeat.load(world / "ten", image_size=8).digest() == own.digest()
    with pytest.raises(ValueError, match="image_size must be at least 1 pixel per side, got 0"):
        robustfeat.load(world / "ten", image_size=0)


def test_a_network_of_one_size_says_so() -> None:
    with pytest.raises(ValueError, match="vit_tiny_patch16_224 takes images of 224 pixels per side only"):
        robustfeat.load("timm:vit_tiny_patch16_224", image_size=64)


def test_an_evaluation_at_another_size_can_be_counted_again(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.json"
    words = ("evaluate", world / "ten", "--data", "digits", "--task", "probe", "--train", "train[:50]", "--limit", "10")
    more = ("--attack", "fgsm", "--image_size", "12", "--records", tmp_path / "rec", "--keep_images", "--out", out)
    assert run(*words, *more) == 0
    report = json.loads(out.read_text())
    assert report["weights"] == robustfeat.load(world / "ten", image_size=12).digest()
    assert run("recount", out) == 0


@pytest.fixture
def broken(world: Path, tmp_path: Path) -> Path:
    """A folder of two images, one of which is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (8, 8), "red").save(folder / "a.png")
    (folder / "b.png").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("command", ["extract", "index"])
def test_broken_images(
    world: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words: dict[str, tuple[object, ...]] = {
        "extract": (
            "extract",
            world / "ten",
            "--data",
            broken,
            "--split",
            "train",
            "--out",
            tmp_path / "f.safetensors",
        ),
        "index": ("index", "build", world / "ten", broken, "--out", tmp_path / "index"),
    }
    assert "b.png" in refused(capsys, 2, *words[command], "--on_error", "raise")
    assert run(*words[command], "--on_error", "skip") == 0


def test_an_index_remembers_the_size(
    world: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "index"
    assert run("index", "build", world / "ten", broken, "--image_size", "12", "--out", out) == 0
    shutil.copy(broken / "a.png", broken / "c.png")
    assert run("index", "add", out, broken) == 0
    capsys.readouterr()
    assert run("index", "search", out, broken / "a.png", "--k", "2", "--json") == 0
    assert [entry["score"] for entry in json.loads(capsys.readouterr().out)] == pytest.approx([1, 1], abs=1e-5)
