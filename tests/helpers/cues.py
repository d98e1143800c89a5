"""Two classes with a robust and a fragile cue, and features that see both."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.attacks import Threat
from robustfeat.data import MemoryImages
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator

THREAT = Threat("linf", Eps("16/255"))


def two_cues(n: int, seed: int) -> MemoryImages:
    """Two classes told apart by the brightness of the left half, noisily but by far, and by one faint pattern, always."""
    labels = torch.arange(n) % 2
    sign = labels.float()[:, None] * 2 - 1
    random = generator(70, seed)
    left = 0.5 + 0.12 * (sign + 0.9 * torch.randn(n, 1, generator=random))
    faint = 0.5 + (6 / 255) * sign * PATTERN[None]
    pixels = torch.empty(n, 3, 8, 8)
    pixels[..., :4] = left[:, :, None, None]
    pixels[..., 4:] = faint.view(n, 1, 8, 4)
    return MemoryImages("two cues", pixels.clamp(0, 1).mul(255).round().byte(), labels)


PATTERN = torch.randint(0, 2, (32,), generator=generator(71)).float() * 2 - 1


def cues() -> Tensor:
    """Directions (192, 2): brightness of the left half; the pattern of the right one."""
    left, right = torch.zeros(3, 8, 8), torch.zeros(3, 8, 8)
    left[..., :4] = 1 / 96
    right[..., 4:] = PATTERN.view(8, 4) / 96
    return 10 * torch.stack([left.flatten(), right.flatten()], dim=1)
