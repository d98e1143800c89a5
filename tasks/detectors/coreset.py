"""Greedy k-centre selection of a coreset, on a random projection."""

from __future__ import annotations

import torch
from torch import Tensor

PROJECTED = 128  # the width that the authors of PatchCore project to


def cover(points: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Choose a coreset, Roth et al. 2022, algorithm 1, in `count` passes over all points.

    Points wider than 128 are compared after a Gaussian projection to 128 dimensions, which keeps distances up to a few per
    cent (Johnson & Lindenstrauss 1984).

    Args:
        points: (n, d), the points.
        count: the number of points to choose.
        random: of the first point and the projection.

    Returns:
        The row numbers of `count` points, or of fewer if the others are copies.
    """
    first = int(torch.randint(len(points), (1,), generator=random))
    width = points.shape[1]
    if width > PROJECTED:
        points = points @ (torch.randn(width, PROJECTED, generator=random) / PROJECTED**0.5).to(points)
    return k_centre(points, count, first)


def k_centre(points: Tensor, count: int, first: int) -> Tensor:
    """Choose `first`, then repeatedly the point farthest from all chosen points.

    The largest distance of any point to its nearest chosen one is at most twice the smallest possible (Gonzalez 1985).

    Args:
        points: (n, d), the points.
        count: the largest number of points to choose.
        first: the row number of the first point.

    Returns:
        The row numbers of at most `count` points, in the order of choice.
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
    """Return the distances of all points to one of them, exactly 0 to itself, unlike distances from products."""
    return torch.cdist(points, points[centre, None], compute_mode="donot_use_mm_for_euclid_dist").squeeze(1)
