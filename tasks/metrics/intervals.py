"""Confidence intervals (95 %): Wilson's for rates, and the bootstrap over images for metrics other than rates and AUROC."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Z = 1.959964


def wilson(rate: float, n: int) -> tuple[float, float]:
    """Return the Wilson score interval of a rate measured on n independent examples.

    >>> [round(bound, 3) for bound in wilson(0.5, 100)]
    [0.404, 0.596]
    """
    if n == 0:
        return 0.0, 1.0
    centre = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    # At the ends the bound is the rate itself; rounding must not put it on the wrong side.
    return 0.0 if rate == 0 else centre - half, 1.0 if rate == 1 else centre + half


def bootstrap(
    summary: Callable[[Tensor], dict[str, float]], images: int, generator: torch.Generator, resamples: int = 200
) -> dict[str, tuple[float, float]]:
    """Compute percentile intervals (95 %) of metrics from a bootstrap over images.

    A resample in which a metric is undefined (a class was not drawn) is left out.

    Args:
        summary: image numbers -> metrics.
        images: the number of images, which are drawn with replacement.
        generator: of the resamples.
        resamples: the number of resamples.

    Returns:
        The lower and the upper end for each metric.
    """
    found: dict[str, list[float]] = {}
    for _ in range(resamples):
        drawn = torch.randint(images, (images,), generator=generator)
        try:
            metrics = summary(drawn)
        except (ValueError, IndexError):
            continue
        for name, value in metrics.items():
            found.setdefault(name, []).append(value)
    return {name: (float(np.nanquantile(v, 0.025)), float(np.nanquantile(v, 0.975))) for name, v in found.items()}
