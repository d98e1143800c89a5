"""The map of features: projections by another library, files that are pictures, inputs that cannot be drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA

from robustfeat.command_line.cli import main
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.numerics.random import generator
from robustfeat.report import Report, plot_map
from robustfeat.report.map import project
from robustfeat.testing import small_network

CLEAN = torch.randn(30, 7, generator=generator(140)) * torch.linspace(1, 3, 7)
ATTACKED = CLEAN + torch.randn(30, 7, generator=generator(141))


def test_pca_as_scikit_learn() -> None:
    referee = PCA(2).fit(CLEAN.double().numpy())
    expected = referee.transform(torch.cat([CLEAN, ATTACKED]).double().numpy())
    found = project(CLEAN, ATTACKED, "pca", 0).numpy()
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-6)


def test_tsne_keeps_groups_apart() -> None:
    groups = 40 * torch.eye(3, 7)[torch.arange(30) % 3] + 0.1 * CLEAN
    points = project(groups, groups + 0.01, "tsne", 0)
    assert points.shape == (60, 2)
    nearest = torch.cdist(points, points).fill_diagonal_(torch.inf).argmin(dim=1)
    assert ((nearest % 30) % 3 == torch.arange(60) % 30 % 3).float().mean() > 0.95
    assert torch.equal(points, project(groups, groups + 0.01, "tsne", 0)), "the same seed draws the same map"


@pytest.mark.parametrize("labels", [None, torch.arange(30) % 3])
def test_it_is_a_picture(labels: torch.Tensor | None, tmp_path: Path) -> None:
    plot_map(CLEAN, ATTACKED, labels, tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as picture:
        assert len(set(picture.convert("L").resize((60, 60)).tobytes())) > 5
    plot_map(CLEAN, ATTACKED, labels, tmp_path / "map.svg")
    assert "<svg" in (tmp_path / "map.svg").read_text()


def test_what_can_not_be_drawn(tmp_path: Path) -> None:
    for clean, attacked, method, message in (
        (CLEAN[:2], ATTACKED[:2], "pca", "at least three images"),
        (CLEAN, ATTACKED[:5], "pca", "got 30 and 5"),
        (torch.ones(5, 2), torch.ones(5, 2), "pca", "all equal"),
        (CLEAN, ATTACKED, "umap", "method must be 'pca' or 'tsne', got 'umap'"),
    ):
        with pytest.raises(ValueError, match=message):
            plot_map(clean, attacked, None, tmp_path / "map.png", method=method)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = []
    for seed in range(2):
        network = small_network(seed, classes=10)
        hub.save(tmp_path / f"m{seed}", network, Card(f"m{seed}", network.architecture, network.feature_dim))
        names.append(str(tmp_path / f"m{seed}"))
    command = ["evaluate", names[0], "--data", "digits", "--train", "train[:150]", "--limit", "30", "--task", "probe"]
    command += ["--eps", "0.1", "--steps", "3", "--features", "--teacher", names[1], "--map", str(tmp_path / "map.png")]
    assert main([*command, "--out", str(tmp_path / "report.json")]) == 0
    text = capsys.readouterr().out
    report = Report.load(tmp_path / "report.json")
    assert set(report.features) >= {"relative shift", "cosine", "CKA to the teacher, attacked", "bound on it"}
    assert f"relative shift {report.features['relative shift']:.3f}" in text
    assert json.loads((tmp_path / "report.json").read_text())["features"] == report.features
    assert report.features["probe's loss gap"] <= report.features["bound on it"]
    with Image.open(tmp_path / "map.png") as picture:
        picture.verify()
    assert main(["evaluate", names[0], "--data", "digits", "--map", "x.png"]) == 2, (
        "a map without an attack on features"
    )
    assert "add --features" in capsys.readouterr().err
