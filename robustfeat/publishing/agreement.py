"""Where a number should fall that is measured on some of the images, if it was published for all of them.

The sample is not drawn anew: it is a part of the very images that the published number is about. So the published interval is
no yardstick (it is for n images, and for a population beyond them), nor is the sample's own Wilson interval (it is for images
drawn with replacement: too wide where the sample is half of all, and not 0 where it is all of them). If the model is the one
that was published, K = value * n of the n images are right, and of a sample of m of them a hypergeometric number. That is exact
for every m and at m = n leaves K alone: where the images are the same, so must be the number. It takes the images to be in an
order that says nothing about how hard they are, and nothing about single images has to be published.

Metrics that are no rates (AUROC, MAP@R) get a normal approximation with the same correction for the finite number of images;
its spread comes from the sample's bootstrap interval. Among several numbers each gets its share of the error (Bonferroni, which
holds however they depend on each other): that any of them is outside for the right model happens once in a hundred times.

SLACK is what other processors, and random starts in batches of another length, may change on top.
"""

from __future__ import annotations

import math

from scipy.stats import hypergeom, norm

from robustfeat.report import Row
from robustfeat.tasks.metrics.intervals import Z

ERROR = 0.01
SLACK = 0.01


def expected(published: Row, sample: Row, *, rate: bool, numbers: int = 1) -> tuple[float, float]:
    """The interval in which the value of `sample` must lie, if it is of the same model on a part of the same images.

    rate: whether the metric is a mean of zeros and ones.  numbers: how many are compared in all.
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
