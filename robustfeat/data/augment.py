"""Random crop, flip and cutout, for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augment:
    """Crop: after zero padding by so many pixels. Flip: half of the images. Cutout: a blank square of that side.

    Works on (n, c, h, w) of any dtype and keeps the shape; each image draws its own crop, flip and square.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        n, c, h, w = images.shape
        draws = torch.rand(5, n, generator=generator)
        out = images
        if self.crop or self.flip:
            span = 2 * self.crop + 1
            y = (draws[0] * span).long()[:, None] + torch.arange(h)
            x = (draws[1] * span).long()[:, None] + torch.arange(w)
            if self.flip:
                x = torch.where(draws[2, :, None] < 0.5, x.flip(1), x)
            padded = F.pad(images, [self.crop] * 4)
            example, channel = torch.arange(n).view(n, 1, 1, 1), torch.arange(c).view(1, c, 1, 1)
            out = padded[example, channel, y.view(n, 1, h, 1), x.view(n, 1, 1, w)]
        if self.cutout:
            top = (draws[3] * h).long()[:, None] - self.cutout // 2
            left = (draws[4] * w).long()[:, None] - self.cutout // 2
            rows, columns = torch.arange(h), torch.arange(w)
            inside_y = (rows >= top) & (rows < top + self.cutout)
            inside_x = (columns >= left) & (columns < left + self.cutout)
            out = out.masked_fill((inside_y[:, :, None] & inside_x[:, None, :])[:, None], 0)
        return out
