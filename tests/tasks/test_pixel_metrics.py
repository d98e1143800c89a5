"""Metrics of anomaly maps: scikit-learn for the pixels, a loop over thresholds and regions for the overlap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import auc, roc_auc_score
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks import aupro, pixel_auroc
from robustfeat.tasks.metrics.pixel import Drawn


def example(levels: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise with defects that are seen more or less well; the last image has none, two defects meet at a corner."""
    masks = torch.zeros(4, 12, 9, dtype=torch.bool)
    masks[0, 2:6, 1:4] = masks[0, 8:10, 6:9] = True
    masks[1, 0, 0] = masks[1, 1, 1] = True
    masks[2, :, 4] = masks[2, 5:7, 6:8] = True
    maps = torch.randn(masks.shape, generator=generator(seed)) + 1.5 * masks
    maps[0, 8:10] -= 2
    return maps if levels is None else (maps.clamp(-3, 3) * levels / 6.01).floor(), masks


def regions_by_flooding(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    left = {(int(i), int(j)) for i, j in np.argwhere(mask)}
    regions = []
    while left:
        edge = {left.pop()}
        region = set(edge)
        while edge:
            near = {(i + a, j + b) for i, j in edge for a in (-1, 0, 1) for b in (-1, 0, 1)}
            edge = near & left
            left -= edge
            region |= edge
        regions.append(region)
    return regions


def slow_aupro(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    regions = [(n, *zip(*region, strict=True)) for n in range(len(masks)) for region in regions_by_flooding(masks[n])]
    false, overlap = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        called = maps >= threshold
        false.append(called[~masks].mean())
        overlap.append(np.mean([called[n, list(i), list(j)].mean() for n, i, j in regions]))
    inside = [k for k in range(len(false)) if false[k] <= limit]
    x, y = [false[k] for k in inside], [overlap[k] for k in inside]
    if x[-1] < limit:  # up to the limit on the line to the next threshold
        k = inside[-1] + 1
        x.append(limit)
        y.append(y[-1] + (overlap[k] - y[-1]) * (limit - x[-2]) / (false[k] - x[-2]))
    return auc(x, y) / limit


@pytest.mark.parametrize("levels", [None, 1, 3, 20])
@pytest.mark.parametrize("limit", [0.01, 0.3, 1.0])
def test_overlap_as_a_loop(levels: int | None, limit: float) -> None:
    for seed in range(3):
        maps, masks = example(levels, seed)
        assert aupro(maps, masks, limit) == pytest.approx(slow_aupro(maps.numpy(), masks.numpy(), limit), abs=1e-9)


@pytest.mark.parametrize("levels", [None, 1, 3])
def test_pixels_as_sklearn(levels: int | None) -> None:
    maps, masks = example(levels)
    expected = roc_auc_score(masks.numpy().ravel(), maps.numpy().ravel())
    for kind in (masks, masks.long(), masks.float()):
        assert pixel_auroc(maps, kind) == pytest.approx(expected, abs=1e-9)
        assert aupro(maps, kind) == aupro(maps, masks)


def test_small_regions_count_as_much_as_large_ones() -> None:
    masks = torch.zeros(1, 20, 20)
    masks[0, :10] = 1
    masks[0, 15, 15] = 1
    found = masks.clone()
    found[0, 15, 15] = 0
    assert aupro(found, masks) == pytest.approx((0.5 + 0.5 + 0.5 * 0.3) / 2)  # on the line from (0, 1/2) to (1, 1)
    assert pixel_auroc(found, masks) == pytest.approx(1 - 0.5 / 201)


def test_extremes() -> None:
    _, masks = example()
    assert aupro(masks.float(), masks) == pixel_auroc(masks.float(), masks) == 1
    assert aupro(-masks.float(), masks) == pixel_auroc(-masks.float(), masks) == 0
    assert aupro(torch.zeros(masks.shape), masks) == pytest.approx(
        0.15
    )  # chance: the overlap is the false positive rate


def test_the_limit_only_counts_what_is_below_it() -> None:
    maps, masks = example()
    assert aupro(maps, masks, 0.05) < aupro(maps, masks, 0.3) < aupro(maps, masks, 1)
    for limit in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"limit must be in \(0, 1\]"):
            aupro(maps, masks, limit)


@pytest.mark.parametrize("metric", [pixel_auroc, aupro])
def test_bad_input(metric: Callable[[Tensor, Tensor], float]) -> None:
    maps, masks = example()
    for wrong_maps, wrong_masks, message in (
        (maps, masks & False, "no pixel of the masks is anomalous"),
        (maps, masks | True, "all pixels of the masks are anomalous"),
        (maps, masks[:3], r"same shape .* \(4, 12, 9\) and \(3, 12, 9\)"),
        (maps[0], masks[0], r"same shape \(n, h, w\)"),
        (maps[:0], masks[:0], "no pixel"),
        (maps * torch.nan, masks, "NaN"),
        (maps, masks * 255, "masks > 0"),
    ):
        with pytest.raises(ValueError, match=message):
            metric(wrong_maps, wrong_masks)


def test_gradients_are_left_alone() -> None:
    maps, masks = example()
    assert pixel_auroc(maps.requires_grad_(), masks) == pixel_auroc(maps.detach(), masks)
    assert aupro(maps, masks) == aupro(maps.detach(), masks)


@pytest.mark.parametrize("levels", [6, None])
@pytest.mark.parametrize("images", [[0, 1, 2, 3], [2, 2, 3, 0, 2], [3, 1, 1]])
def test_images_that_are_drawn(levels: int | None, images: list[int]) -> None:
    """As if these were all images there are: exact, where the normal pixels have fewer scores than there are bins."""
    maps, masks = example(levels)
    found = Drawn(maps, masks)(torch.tensor(images))
    assert found["pixel-auroc"] == pytest.approx(
        pixel_auroc(maps[images], masks[images]), abs=1e-9 if levels else 0.003
    )
    assert found["aupro"] == pytest.approx(aupro(maps[images], masks[images]), abs=1e-9 if levels else 0.02)


def test_images_without_an_anomalous_pixel_say_nothing() -> None:
    maps, masks = example()
    with pytest.raises(ValueError, match="of one kind only"):
        Drawn(maps, masks)(torch.tensor([3, 3]))
