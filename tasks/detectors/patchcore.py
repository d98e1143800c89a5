"""PatchCore, Roth et al. 2022 (arXiv 2106.08265): the most anomalous patch of an image determines its score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn import functional as F

from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks.detectors import DETECTORS
from robustfeat.tasks.detectors.base import AnomalyDetector
from robustfeat.tasks.detectors.coreset import cover

AT_ONCE = 2**24  # distances that are held at a time, 64 MB
SIGMA = 4 / 224  # of the smoothing of maps, in units of their side, as in the paper


@DETECTORS.register("patchcore")
class PatchCore(AnomalyDetector):
    """anomaly(x) = w |p - m|: p is the patch of x that is farthest from the memory, m the memory patch nearest to it.

        w = 1 - exp |p - m| / sum_i exp |p - m_i|    over the b memory patches nearest to m, m among them  (eq. 7).

    The memory is a coreset of all normal patches. Distances are in units of the root mean square distance of normal patches
    from their mean, so that w and the ranks do not depend on the scale of the features. The patches to compare are selected
    without gradient; the distances are differentiable.

    Args:
        coreset: the share of the normal patches that is kept, in (0, 1]. The time for their selection is proportional to this
            share and to the square of the number of patches.
        neighbours: b, at most the size of the memory; 1 omits w.
        grid: (c, h, w) of features (n, c h w): `grid` of the `PatchExtractor` they come from, which `evaluate` sets by
            itself. None takes each feature as one patch.
        seed: of the coreset.
    """

    memory: Tensor  # (k, c); like the others, None until fit
    near: Tensor  # (k, b), rows of the memory
    centre: Tensor
    unit: Tensor
    shape: Tensor

    def __init__(
        self, coreset: float = 0.1, neighbours: int = 9, grid: Sequence[int] | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        if not 0 < coreset <= 1:
            raise ValueError(f"coreset must be in (0, 1], got {coreset!r}")
        if neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, got {neighbours!r}")
        if grid is not None and (len(grid) != 3 or min(grid) < 1):
            raise ValueError(f"grid must be (channels, height, width), each at least 1, got {grid!r}")
        self.coreset, self.neighbours, self.grid, self.seed = coreset, neighbours, grid, seed
        self._told: Sequence[int] | None = None
        for name in ("memory", "near", "centre", "unit", "shape"):
            self.register_buffer(name, None)

    def arrange(self, grid: Sequence[int] | None) -> None:
        self._told = grid

    def _fit(self, features: Features, targets: Tensor) -> None:
        """Learn from features (m, d) of at least one image; all of them are taken as normal."""
        grid = self._told or self.grid or (features.shape[1], 1, 1)
        if math.prod(grid) != features.shape[1]:
            raise ValueError(
                f"features have width {features.shape[1]}, but a grid of {tuple(grid)} has {math.prod(grid)} values; "
                "give the grid of the extractor they come from"
            )
        patches = _patches(features.detach(), grid).flatten(0, 1)
        centre = patches.mean(dim=0)
        spread = vector_norm(patches - centre, dim=1, dtype=torch.float64).pow(2).mean().sqrt()
        # Equal patches have no spread but that of rounding; any unit will do then.
        unit = torch.maximum(spread, 1e-6 * vector_norm(centre, dtype=torch.float64))
        unit = torch.where(unit > 0, unit, torch.ones_like(unit)).to(features.dtype)
        patches = (patches - centre) / unit
        kept = cover(patches, math.ceil(self.coreset * len(patches)), generator(self.seed, Stream.CORESET))
        self.memory, self.centre, self.unit, self.shape = patches[kept], centre, unit, torch.tensor(grid)
        self.near = self._nearest(self.memory, min(self.neighbours, len(self.memory)))

    def _anomaly(self, features: Features) -> PerExample:
        patches = self._measured(features)
        nearest = self._nearest(patches.flatten(0, 1)).view(patches.shape[:2])
        with torch.no_grad():
            worst = _length(patches - self.memory[nearest]).argmax(dim=1)
        images = torch.arange(len(patches), device=patches.device)
        patch, match = patches[images, worst], nearest[images, worst]
        distance = _length(patch - self.memory[match])
        if self.near.shape[1] == 1:
            return distance
        around = _length(patch[:, None] - self.memory[self.near[match]])
        return distance * (1 - (distance - around.logsumexp(dim=1)).exp())

    def maps(self, features: Features, size: int) -> Tensor | None:
        if self.width is None:
            raise self._unfitted()
        return None if self.shape[1:].prod() == 1 else self.anomaly_map(features, size)

    def anomaly_map(self, features: Features, size: int) -> Tensor:
        """Return the distance of each pixel from the memory, (n, size, size), differentiable in the features.

        The distances of the patches are scaled bilinearly to the size of the images and smoothed by a Gaussian of standard
        deviation 4 size / 224.

        Args:
            features: (n, d), of the fitted width.
            size: the side of the maps in pixels.

        Raises:
            ValueError: for features of a single patch, and for a size below 1.
        """
        patches = self._measured(self._seen(features))
        _, height, width = self.shape.tolist()
        if height * width == 1:
            raise ValueError("features of a single patch have no map; give PatchCore the grid of a PatchExtractor")
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        nearest = self._nearest(patches.flatten(0, 1)).view(patches.shape[:2])
        maps = _length(patches - self.memory[nearest]).view(-1, 1, height, width)
        return _smooth(F.interpolate(maps, size=(size, size), mode="bilinear"), SIGMA * size).squeeze(1)

    def _measured(self, features: Features) -> Tensor:
        """Return the patches (n, h w, c) of features in the units of the memory."""
        grid = self.shape.tolist()
        return (_patches(features, grid) - self.centre) / self.unit

    @torch.no_grad()
    def _nearest(self, patches: Tensor, count: int = 1) -> Tensor:
        """Return the rows of the memory nearest to patches (p, c), nearest first, (p, count)."""
        lengths = self.memory.pow(2).sum(dim=1)
        parts = patches.split(max(1, AT_ONCE // len(self.memory)))
        squared = (torch.addmm(lengths, part, self.memory.T, alpha=-2) for part in parts)
        return torch.cat([each.topk(count, largest=False).indices for each in squared])


def _patches(features: Features, grid: Sequence[int]) -> Tensor:
    """Reshape features (n, c h w) to patches (n, h w, c)."""
    channels, height, width = grid
    return features.reshape(-1, channels, height * width).transpose(1, 2)


def _length(differences: Tensor) -> Tensor:
    """Return the Euclidean length over the last dimension, with a finite gradient at 0."""
    return differences.pow(2).sum(dim=-1).clamp_min(1e-12).sqrt()


def _smooth(maps: Tensor, sigma: float) -> Tensor:
    """Smooth maps (n, 1, s, s) by a Gaussian that is cut off at 4 sigma, with replicated borders."""
    radius = math.ceil(4 * sigma)
    kernel = torch.arange(-radius, radius + 1).to(maps).div(sigma).pow(2).div(-2).softmax(dim=0)
    padded = F.pad(maps, (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
