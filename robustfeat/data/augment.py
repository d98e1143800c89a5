"""This module augments a whole batch at once, by random crop, flip and cutout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.data.sending import send


@dataclass(frozen=True)
class Augment:
    """Crops, flips and cuts out squares of images (n, c, h, w) of any dtype, on any device; the shape is kept.

    Each image draws its own crop, flip and square. The generator is one of the CPU, so the draws are the same for every device.

    Args:
        crop: zero padding in pixels per side before a random crop back to the original size; 0 does not crop.
        flip: whether a random half of the images is flipped horizontally.
        cutout: side in pixels of a square that is set to zero in each image; 0 leaves it out.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        n, c, h, w = images.shape
        device = images.device
        draws = send(torch.rand(5, n, generator=generator), device)
        rows, columns = torch.arange(h, device=device), torch.arange(w, device=device)
        out = images
        if self.crop or self.flip:
            span = 2 * self.crop + 1
            y = (draws[0] * span).long()[:, None] + rows
            x = (draws[1] * span).long()[:, None] + columns
            if self.flip:
                x = torch.where(draws[2, :, None] < 0.5, x.flip(1), x)
            padded = F.pad(images, [self.crop] * 4)
            # Where each pixel comes from, the same in all channels.
            source = (y[:, :, None] * padded.shape[3] + x[:, None, :]).view(n, 1, h * w).expand(n, c, h * w)
            out = padded.flatten(2).gather(2, source).view(n, c, h, w)
        if self.cutout:
            top = (draws[3] * h).long()[:, None] - self.cutout // 2
            left = (draws[4] * w).long()[:, None] - self.cutout // 2
            inside_y = (rows >= top) & (rows < top + self.cutout)
            inside_x = (columns >= left) & (columns < left + self.cutout)
            out = out.masked_fill((inside_y[:, :, None] & inside_x[:, None, :])[:, None], 0)
        return out
