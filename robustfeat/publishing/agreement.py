"""This module computes where a number measured on some of the images should lie, if it was published for all of them.

The sample is not drawn anew: it is a part of the very images that the published number is about. So the published interval does
not apply (it is for n images, and for a population beyond them), and neither does the sample's own Wilson interval (it is for
images drawn with replacement: too wide if the sample is half of all images, and not 0 if it is all of them). If the model is the
published one, K = value * n of the n images are right, and the number of right images in a sample of m is hypergeometric. That is
exact for every m, and at m = n it equals K: for the same images the number must be the same. It assumes an order of the images
that is independent of their difficulty, and needs no published values of single images.

Metrics that are not rates (AUROC, MAP@R) get a normal approximation with the same correction for the finite number of images; its
standard deviation comes from the sample's bootstrap interval. Of several numbers each gets its share of the error (Bonferroni,
which holds for any dependence): for the right model, at least one of them is outside in one of a hundred cases.

SLACK covers additional differences from other processors, and from random starts in batches of another length.
"""

from __future__ import annotations

import math

from scipy.stats import hypergeom, norm

from robustfeat.report import Row
from robustfeat.tasks.metrics.intervals import Z

ERROR = 0.01
SLACK = 0.01


def expected(published: Row, sample: Row, *, rate: bool, numbers: int = 1) -> tuple[float, float]:
    """Return the interval in which the value of `sample` must lie, if it is of the same model on a part of the same images.

    Args:
        published: the published row.
        sample: the row measured on the sample.
        rate: whether the metric is a mean of zeros and ones.
        numbers: the number of compared numbers.
    """
    m, n = min(sample.n, published.n), published.n
    tail = ERROR / numbers / 2
    if rate:
        right = round(published.value * n)
        slack = max(1, math.ceil(SLACK * m))
        low, high = hypergeom.ppf(tail, n, right, m) - slack, hypergeom.isf(tail, n, right, m) + slack
        return float(max(0.0, low / m)), float(min(1.0, high / m))
    spread = (sample.high - sample.low) / (2 * Z) * math.sqrt(1 - m / n)
    half = float(norm.isf(tail)) * spread + SLACK
    return max(0.0, published.value - half), min(1.0, published.value + half)
