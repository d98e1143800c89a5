"""Intermediate maps of a backbone as features: one vector for each place of an image instead of one for all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.data import check_images
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.types import Features, Images


class PatchExtractor(FeatureExtractor):
    """Locally averaged maps, flattened: images -> (n, c h w), float32, always differentiable. Roth et al. 2022, section 3.1.

    The map of each layer is averaged over 3x3 neighbours (at the border over those that exist) and scaled bilinearly to the
    size of the largest; then all are stacked. Everything that takes an extractor takes this one; the detector for it is
    `robustfeat.tasks.PatchCore`. An image costs 4 c h w bytes: 1.2 MB for a resnet18 at 224 pixels.

    extractor: where the network comes from; it is shared, not copied.
    layers: names of timm's `feature_info`, in any order. None takes the two before the last: "layer2" and "layer3" of a
        ResNet, as in the paper.
    grid: (c, h, w) for images of the size in the card; images whose maps have another size are refused.

    Raises ValueError for layers that the network does not have, and for a network without maps.
    """

    def __init__(self, extractor: FeatureExtractor, layers: Sequence[str] | None = None) -> None:
        network, card = extractor.network, extractor.card
        model = getattr(network, "model", None)
        names = [level["module"] for level in getattr(model, "feature_info", ())]
        if not names or not hasattr(model, "forward_intermediates"):
            raise ValueError(f"{card.architecture.name} gives no intermediate maps; choose another architecture")
        if layers is None:
            layers = names[-3:-1] or names
        if wrong := [name for name in layers if name not in names]:
            raise ValueError(f"{card.architecture.name} has no layers {wrong}; it has {', '.join(names)}")
        if not layers:
            raise ValueError(f"there must be at least one layer; {card.architecture.name} has {', '.join(names)}")
        super().__init__(network, card)
        self._levels = [level for level, name in enumerate(names) if name in layers]
        self.layers = tuple(names[level] for level in self._levels)
        side = card.architecture.image_size
        with torch.no_grad():
            _, *grid = self._maps(torch.full((1, 3, side, side), 0.5).to(network.mean)).shape
        self.grid = (grid[0], grid[1], grid[2])
        self.feature_dim = grid[0] * grid[1] * grid[2]
        self.card = replace(card, name=f"{card.name}[{','.join(self.layers)}]", feature_dim=self.feature_dim)

    def _width(self) -> str:
        return f"{'x'.join(map(str, self.grid))} maps"

    def digest(self) -> str:
        """sha256 of the weights as they are now, and of the layers."""
        return hashlib.sha256(f"{super().digest()} {self.layers}".encode()).hexdigest()

    def forward(self, images: Images) -> Features:
        """Features (n, c h w) of images (n, 3, h, w) in [0, 1]. Raises ValueError for other ranges and sizes."""
        maps = self._maps(check_images(images).to(self.network.mean.dtype))
        if maps.shape[1:] != self.grid:
            side = self.card.architecture.image_size
            raise ValueError(
                f"images of {images.shape[-2]}x{images.shape[-1]} pixels have maps of {tuple(maps.shape[1:])} instead of "
                f"{self.grid}; give images of {side}x{side}"
            )
        return maps.flatten(1)

    @torch.inference_mode()
    def transform_batch(self, images: Images) -> Features:
        return self(images.to(self.device, memory_format=torch.channels_last)).cpu()

    def _maps(self, images: Images) -> Tensor:
        """(n, c, h, w), float32."""
        normalised = (images - self.network.mean).div_(self.network.std)
        maps = self.network.model.forward_intermediates(
            normalised, indices=self._levels, stop_early=True, intermediates_only=True
        )
        averaged = [F.avg_pool2d(m.float(), 3, stride=1, padding=1, count_include_pad=False) for m in maps]
        size = max(m.shape[-2:] for m in averaged)
        return torch.cat([F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in averaged], dim=1)
