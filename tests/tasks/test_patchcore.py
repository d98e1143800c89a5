"""PatchCore against plain loops in float64, by finite differences, at any scale."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from torch import Tensor

import robustfeat.tasks.detectors.patchcore as module
from robustfeat.numerics.random import generator
from robustfeat.tasks import PatchCore

GRID = (5, 3, 4)


def maps(n: int, seed: int) -> Tensor:
    """Features (n, 60) with channels of different spread, far from 0."""
    spread = torch.linspace(0.3, 2, 5)[:, None, None]
    return (3 + spread * torch.randn(n, *GRID, generator=generator(seed))).flatten(1)


def patches_of(features: Tensor) -> np.ndarray:
    """(n, 12, 5), float64."""
    return features.double().numpy().reshape(len(features), 5, 12).transpose(0, 2, 1)


def slow_distances(normal: Tensor, tested: Tensor, memory: np.ndarray) -> tuple[np.ndarray, float]:
    """(n, 12, k): of every patch to everything in a memory that is in the units of the features; and the unit."""
    all_patches = patches_of(normal).reshape(-1, 5)
    unit = np.sqrt(((all_patches - all_patches.mean(axis=0)) ** 2).sum(axis=1).mean())
    return np.stack([cdist(image, memory) for image in patches_of(tested)]) / unit, unit


def slow_anomaly(distances: np.ndarray, memory: np.ndarray, neighbours: int) -> list[float]:
    scores = []
    for image in distances:
        worst = int(image.min(axis=1).argmax())
        nearest = int(image[worst].argmin())
        near = cdist(memory[nearest, None], memory)[0].argsort()[:neighbours]
        weight = 1 - np.exp(image[worst, nearest]) / np.exp(image[worst, near]).sum() if neighbours > 1 else 1
        scores.append(weight * image[worst, nearest])
    return scores


@pytest.mark.parametrize("neighbours", [1, 2, 9])
@pytest.mark.parametrize("at_once", [2**24, 100])
def test_as_plain_loops(neighbours: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    normal, tested = maps(20, 0), maps(6, 1) * 1.2
    task = PatchCore(coreset=0.25, neighbours=neighbours, grid=GRID).fit(normal)
    memory = (task.memory * task.unit + task.centre).double().numpy()
    assert memory.shape == (60, 5)
    assert cdist(memory, patches_of(normal).reshape(-1, 5)).min(axis=1).max() < 1e-5, "not patches of normal images"
    distances, unit = slow_distances(normal, tested, memory)
    assert float(task.unit) == pytest.approx(unit, rel=1e-5)
    np.testing.assert_allclose(task.anomaly(tested).numpy(), slow_anomaly(distances, memory, neighbours), rtol=1e-4)


def test_the_map_as_scipy() -> None:
    normal, tested = maps(20, 0), maps(3, 1)
    task = PatchCore(grid=GRID).fit(normal)
    memory = (task.memory * task.unit + task.centre).double().numpy()
    nearest = slow_distances(normal, tested, memory)[0].min(axis=2).reshape(3, 3, 4)
    for size in (4, 56, 112):
        scaled = torch.nn.functional.interpolate(torch.from_numpy(nearest)[:, None], size=(size, size), mode="bilinear")
        sigma = 4 * size / 224
        expected = gaussian_filter(scaled.squeeze(1).numpy(), (0, sigma, sigma), mode="nearest", truncate=6)
        found = task.anomaly_map(tested, size)
        assert found.shape == (3, size, size)
        np.testing.assert_allclose(found.numpy(), expected, rtol=2e-3)


def test_without_a_grid_a_feature_is_a_patch() -> None:
    normal, tested = maps(40, 0), maps(5, 1)
    task = PatchCore(coreset=1, neighbours=1).fit(normal)
    assert sorted(map(tuple, task.memory.tolist())) == sorted(map(tuple, ((normal - task.centre) / task.unit).tolist()))
    expected = cdist(tested.double().numpy(), normal.double().numpy()).min(axis=1) / float(task.unit)
    np.testing.assert_allclose(task.anomaly(tested).numpy(), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="single patch have no map"):
        task.anomaly_map(tested, 8)


@pytest.mark.parametrize("neighbours", [1, 9])
def test_gradient_by_finite_differences(neighbours: int) -> None:
    task = PatchCore(neighbours=neighbours, grid=GRID).fit(maps(20, 0).double())
    x = (maps(4, 1) * 1.3).double().requires_grad_()
    weights = torch.randn(4, 8, 8, generator=generator(2), dtype=torch.float64)
    for value in (task.anomaly, lambda z: (task.anomaly_map(z, 8) * weights).sum(dim=(1, 2))):
        (gradient,) = torch.autograd.grad(value(x).sum(), x)
        assert (gradient.abs().sum(dim=1) > 0).all()
        for unit in torch.eye(60, dtype=torch.float64):
            with torch.no_grad():
                slope = (value(x + 1e-6 * unit) - value(x - 1e-6 * unit)) / 2e-6
            torch.testing.assert_close(gradient @ unit, slope, rtol=1e-4, atol=1e-6)


def test_exactly_normal_has_a_finite_gradient() -> None:
    x = maps(3, 0).requires_grad_()
    score = PatchCore(coreset=1, grid=GRID).fit(x).anomaly(x)
    assert (score < 1e-5).all()
    assert torch.isfinite(torch.autograd.grad(score.sum(), x)[0]).all()


@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1e3, 1e25])
def test_the_scale_of_features_does_not_matter(scale: float) -> None:
    normal, tested = maps(20, 0), maps(30, 1) * 1.1
    scores, scaled = (PatchCore(grid=GRID).fit(k * normal).anomaly(k * tested) for k in (1, scale))
    torch.testing.assert_close(scaled, scores, rtol=1e-4, atol=1e-6)
    assert torch.equal(scaled.argsort(), scores.argsort())


@pytest.mark.parametrize("value", [0.0, 0.1, 1e3])
@pytest.mark.parametrize("channels", [5, 300])
def test_equal_patches(value: float, channels: int) -> None:
    """No spread at all: the farther a feature, the more anomalous it still is."""
    normal = torch.full((4, channels * 6), value)
    task = PatchCore(coreset=0.5, grid=(channels, 2, 3)).fit(normal)
    steps = torch.arange(4)[:, None] * max(value, 1)
    x = (normal + steps).requires_grad_()
    score = task.anomaly(x)
    assert torch.isfinite(score).all()
    assert (score.diff() > 0).all()
    assert torch.isfinite(torch.autograd.grad(score.sum(), x)[0]).all()


def test_one_image() -> None:
    normal = maps(1, 0)
    for share in (0.01, 1):  # a memory of one patch, and of all twelve
        task = PatchCore(coreset=share, grid=GRID).fit(normal)
        assert len(task.memory) == (1 if share == 0.01 else 12)
        assert task.anomaly(normal + 1).shape == (1,)
        assert torch.isfinite(task.anomaly_map(normal + 1, 7)).all()
    assert task.anomaly(normal[:0]).shape == (0,)
    assert task.anomaly_map(normal[:0], 7).shape == (0, 7, 7)


def test_features_need_not_be_contiguous() -> None:
    normal, tested = maps(20, 0), maps(5, 1)
    task = PatchCore(grid=GRID).fit(normal)
    assert torch.equal(task.anomaly(tested.T.contiguous().T), task.anomaly(tested))


def test_the_state_is_all_there_is() -> None:
    tested = maps(5, 1)
    task = PatchCore(grid=GRID).fit(maps(20, 0))
    other = PatchCore().fit(maps(9, 2))
    for name, value in task.state_dict().items():
        setattr(other, name, value)
    assert torch.equal(other.anomaly(tested), task.anomaly(tested))
    assert torch.equal(other.anomaly_map(tested, 8), task.anomaly_map(tested, 8))
    assert torch.equal(copy.deepcopy(task).anomaly(tested), task.anomaly(tested))
    again = PatchCore(grid=GRID).fit(maps(20, 0))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in task.state_dict().items())
    assert repr(task) == "PatchCore(coreset=0.1, neighbours=9, grid=(5, 3, 4), seed=0, fitted)"


def test_bad_input() -> None:
    normal = maps(20, 0)
    for use in (PatchCore().anomaly, partial(PatchCore().anomaly_map, size=8)):
        with pytest.raises(RuntimeError, match="PatchCore is not fitted; call fit first"):
            use(normal)
    fitted = PatchCore(grid=GRID).fit(normal)
    for make, message in (
        (lambda: PatchCore(coreset=0), r"coreset must be in \(0, 1\], got 0"),
        (lambda: PatchCore(coreset=float("nan")), r"coreset must be in"),
        (lambda: PatchCore(neighbours=0), "neighbours must be at least 1, got 0"),
        (lambda: PatchCore(grid=(5, 12)), r"grid must be \(channels, height, width\).* got \(5, 12\)"),
        (lambda: PatchCore(grid=(5, 12, 0)), "each at least 1"),
        (lambda: PatchCore(grid=(5, 3, 3)).fit(normal), r"width 60, but a grid of \(5, 3, 3\) has 45 values; give"),
        (lambda: PatchCore().fit(normal[:0]), "no features to fit on"),
        (lambda: PatchCore().fit(normal * torch.nan), "NaN"),
        (lambda: PatchCore().fit(normal.view(20, *GRID)), r"\(n, d\)"),
        (lambda: fitted.anomaly(normal[:, :45]), "width 45, the task was fitted on width 60"),
        (lambda: fitted.anomaly(normal * torch.inf), "infinite"),
        (lambda: fitted.anomaly_map(normal, 0), "size must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
