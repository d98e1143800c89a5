"""A few points that cover many: greedy k-centre, on a random projection."""

from __future__ import annotations

import torch
from torch import Tensor

PROJECTED = 128  # the width that the authors of PatchCore project to


def cover(points: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Row numbers of `count` of the points (n, d), or fewer where the others are copies. Roth et al. 2022, algorithm 1.

    Points wider than 128 are compared after a Gaussian projection to 128 dimensions, which keeps distances up to a few per
    cent (Johnson & Lindenstrauss 1984). Takes count passes over all points.
    """
    first = int(torch.randint(len(points), (1,), generator=random))
    width = points.shape[1]
    if width > PROJECTED:
        points = points @ (torch.randn(width, PROJECTED, generator=random) / PROJECTED**0.5).to(points)
    return k_centre(points, count, first)


def k_centre(points: Tensor, count: int, first: int) -> Tensor:
    """Row numbers of `first` and then always the point farthest from those that are chosen already, at most `count`.

    The largest distance of any point to its nearest chosen one is at most twice the smallest possible (Gonzalez 1985).
    """
    chosen = [first]
    gaps = _distances(points, first)
    while len(chosen) < count:
        farthest = int(gaps.argmax())
        if gaps[farthest] == 0:
            break  # the rest are copies of what is chosen
        chosen.append(farthest)
        gaps = torch.minimum(gaps, _distances(points, farthest))
    return torch.tensor(chosen, device=points.device)


def _distances(points: Tensor, centre: int) -> Tensor:
    """Of all points to one of them; 0 to itself, which products would only give up to rounding."""
    return torch.cdist(points, points[centre, None], compute_mode="donot_use_mm_for_euclid_dist").squeeze(1)
