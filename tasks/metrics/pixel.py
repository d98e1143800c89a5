"""Metrics of anomaly maps against masks of anomalous pixels, which measure how well defects are localised."""

from __future__ import annotations

import numpy as np
from scipy.integrate import trapezoid
from scipy.ndimage import label
from torch import Tensor

from robustfeat.tasks.metrics.ranking import auroc

LIMIT = 0.3  # of the share of normal pixels that are called anomalous, as in the paper
BINS = 1000
EIGHT = np.ones((3, 3))  # pixels that meet at a corner belong to one region


def pixel_auroc(maps: Tensor, masks: Tensor) -> float:
    """Return the probability that an anomalous pixel of any image scores above a normal one of any image; ties count half.

    Args:
        maps: (n, h, w), anomaly maps, higher is more anomalous.
        masks: (n, h, w), 1 or True for anomalous pixels, of which normal images have none.

    Raises:
        ValueError: for other shapes and values, and if all pixels are normal or all are anomalous.
    """
    return auroc(maps.detach().flatten(), _checked(maps, masks).flatten())


def aupro(maps: Tensor, masks: Tensor, limit: float = LIMIT) -> float:
    """Return the area under the per-region overlap, Bergmann et al. 2020 (arXiv 1911.02357), in [0, 1].

    At each threshold, the overlap is the mean over all anomalous regions of the share of the region that is found, so a small
    defect counts as much as a large one. It is integrated over the share of normal pixels called anomalous, linearly between
    thresholds, from 0 to `limit`, and divided by `limit`. A region is a connected component of a mask, corners included.

    Args:
        maps: (n, h, w), anomaly maps, higher is more anomalous.
        masks: (n, h, w), 1 or True for anomalous pixels, of which normal images have none.
        limit: the largest share of normal pixels called anomalous, in (0, 1].

    Raises:
        ValueError: as for `pixel_auroc`, and for a limit outside (0, 1].
    """
    if not 0 < limit <= 1:
        raise ValueError(f"limit must be in (0, 1], got {limit!r}")
    anomalous = _checked(maps, masks).cpu().numpy()
    shares, counts = _regions(anomalous)
    # The distinct scores, from the highest down, are the thresholds.
    _, rank = np.unique(-maps.detach().double().cpu().numpy().ravel(), return_inverse=True)
    overlap = np.append(0, np.bincount(rank, weights=shares.ravel()).cumsum() / counts.sum())
    false = np.append(0, np.bincount(rank, weights=~anomalous.ravel()).cumsum() / (~anomalous).sum())
    return _area(false, overlap, limit)


class Drawn:
    """Both metrics on a selection of images by number, for a bootstrap, which cannot sort all pixels in every resample.

    The resolution of scores is that of `BINS` equal shares of the normal pixels.

    Args:
        maps: (n, h, w), as for `pixel_auroc`.
        masks: (n, h, w), as for `pixel_auroc`.

    Raises:
        ValueError: as for `pixel_auroc`.
    """

    def __init__(self, maps: Tensor, masks: Tensor) -> None:
        anomalous = _checked(maps, masks).cpu().numpy()
        scores = maps.detach().double().cpu().numpy()
        shares, self.regions = _regions(anomalous)
        edges = np.unique(np.quantile(scores[~anomalous], np.linspace(0, 1, BINS + 1)))
        # Bin 0 has the highest scores: sums over the bins go down with the threshold.
        bins = len(edges) - np.searchsorted(edges, scores, side="left")

        def per_image(weights: np.ndarray) -> np.ndarray:
            pairs = zip(bins, weights, strict=True)
            return np.stack([np.bincount(b.ravel(), w.ravel(), minlength=len(edges) + 1) for b, w in pairs])

        self.normal, self.anomalous, self.shares = map(per_image, (~anomalous, anomalous, shares))

    def __call__(self, images: Tensor) -> dict[str, float]:
        """Return both metrics; images without anomalous or without normal pixels raise ValueError."""
        drawn = images.numpy()
        sums = [np.append(0, part[drawn].sum(axis=0).cumsum()) for part in (self.normal, self.anomalous, self.shares)]
        if min(sums[0][-1], sums[1][-1]) == 0:
            raise ValueError("these images have pixels of one kind only")
        false, found, overlap = sums[0] / sums[0][-1], sums[1] / sums[1][-1], sums[2] / self.regions[drawn].sum()
        return {"pixel-auroc": float(trapezoid(found, false)), "aupro": _area(false, overlap, LIMIT)}


def _regions(anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for masks (n, h, w), 1 / size of the region of each pixel (0 outside regions), and the number of regions (n,)."""
    shares, counts = np.zeros(anomalous.shape), np.zeros(len(anomalous), dtype=int)
    for i, mask in enumerate(anomalous):
        regions, counts[i] = label(mask, EIGHT)
        shares[i][mask] = 1 / np.bincount(regions.ravel())[regions[mask]]
    return shares, counts


def _area(false: np.ndarray, overlap: np.ndarray, limit: float) -> float:
    """Return the area under the overlap over the share of normal pixels, from 0 to `limit`, divided by `limit`."""
    inside = false <= limit
    x, y = np.append(false[inside], limit), np.append(overlap[inside], np.interp(limit, false, overlap))
    return float(trapezoid(y, x) / limit)


def _checked(maps: Tensor, masks: Tensor) -> Tensor:
    """Check maps and masks, and return the masks as bool."""
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise ValueError(
            f"maps and masks must have the same shape (n, h, w), got {tuple(maps.shape)} and {tuple(masks.shape)}"
        )
    if bool(maps.isnan().any()):
        raise ValueError("maps contain NaN, which has no rank")
    if not bool(((masks == 0) | (masks == 1)).all()):
        raise ValueError("masks must be 0 (normal) or 1 (anomalous); use masks > 0 for grey levels")
    anomalous = masks == 1
    if not bool(anomalous.any()):
        raise ValueError("no pixel of the masks is anomalous; there is nothing to find")
    if bool(anomalous.all()):
        raise ValueError("all pixels of the masks are anomalous; there is nothing to tell them from")
    return anomalous
