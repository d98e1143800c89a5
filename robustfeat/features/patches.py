"""Intermediate maps of a backbone as features: one vector for each location in an image instead of one for the whole image."""

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
    """Extracts locally averaged intermediate maps, flattened and always differentiable, as in Roth et al. 2022, section 3.1.

    Images become features (n, c h w), float32. The map of each layer is averaged over 3x3 neighbours (at the border over those
    that exist) and scaled bilinearly to the size of the largest map; then all maps are stacked. Every function that accepts an
    extractor accepts this one; the matching detector is `robustfeat.tasks.PatchCore`. An image costs 4 c h w bytes: 1.2 MB for
    a resnet18 at 224 pixels.

    Args:
        extractor: the extractor that provides the network, which is shared, not copied.
        layers: names from timm's `feature_info`, in any order. None takes the two before the last: "layer2" and "layer3" of a
            ResNet, as in the paper.

    Attributes:
        grid: (c, h, w) for images of the size in the card. Images whose maps have another size are refused.

    Raises:
        ValueError: if the network does not have one of the layers, or has no intermediate maps.
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
        name = f"{card.name}[{','.join(self.layers)}]"
        # Training keeps the pooled features in another model's space, and not the maps before them.
        self.card = replace(card, name=name, feature_dim=self.feature_dim, compatible_with=None)

    def _width(self) -> str:
        return f"{'x'.join(map(str, self.grid))} maps"

    def digest(self) -> str:
        """Return the sha256 of the current weights and of the layers."""
        return hashlib.sha256(f"{super().digest()} {self.layers}".encode()).hexdigest()

    def forward(self, images: Images) -> Features:
        """Compute the features of a batch.

        Args:
            images: (n, 3, h, w) in [0, 1].

        Returns:
            Features (n, c h w).

        Raises:
            ValueError: for images of another range or size.
        """
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
        """Compute the stacked maps (n, c, h, w), float32."""
        normalised = (images - self.network.mean).div_(self.network.std)
        maps = self.network.model.forward_intermediates(
            normalised, indices=self._levels, stop_early=True, intermediates_only=True
        )
        averaged = [F.avg_pool2d(m.float(), 3, stride=1, padding=1, count_include_pad=False) for m in maps]
        size = max(m.shape[-2:] for m in averaged)
        return torch.cat([F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in averaged], dim=1)
