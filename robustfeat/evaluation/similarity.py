"""How alike the features of two models are, whatever their widths: linear CKA, and the correlations between classes."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, Labels


def linear_cka(one: Features, other: Features) -> float:
    """Centred kernel alignment with linear kernels, Kornblith et al. 2019 (arXiv 1905.00414), equation 3 for X X^T; in [0, 1].

    one, other: features (n, d) and (n, e) of the same images, row by row. 1 for features that differ by a rotation, a scale
    and a shift; the expectation for unrelated ones grows with d e / n, so that n should be much larger than the widths.

    Raises ValueError for other numbers of rows, and for features without any spread.
    """
    x, y = _centred(one, "one"), _centred(other, "other")
    if len(x) != len(y):
        raise ValueError(f"one has {len(x)} rows and other {len(y)}; give features of the same images")
    cross = (x.T @ y).pow(2).sum()
    return float(cross / ((x.T @ x).norm() * (y.T @ y).norm()))


def class_correlation_gap(one: Features, other: Features, labels: Labels) -> float:
    """Mean absolute difference of the correlations between classes; in [0, 2], 0 for the same structure.

    The correlation of two classes is that of their mean features, over the dimensions, after the mean of all classes is
    taken off. The structural knowledge of the teacher that a student has taken over shows here: compare Tian et al. 2020,
    figure 2, where it is measured on logits.

    Raises ValueError for fewer than three classes (two always have correlation -1) and other numbers of rows.
    """
    if not len(one) == len(other) == len(labels):
        raise ValueError(f"{len(one)} and {len(other)} features but {len(labels)} labels; give the same images to all")
    classes = labels.unique()
    if len(classes) < 3:
        raise ValueError(f"correlations between classes need at least three of them, labels have {len(classes)}")
    first, second = (_correlations(features, labels, classes) for features in (one, other))
    pairs = ~torch.eye(len(classes), dtype=torch.bool)
    return float((first - second).abs()[pairs].mean())


def _correlations(features: Features, labels: Labels, classes: Tensor) -> Tensor:
    means = torch.stack([features[labels == c].double().mean(dim=0) for c in classes])
    return torch.corrcoef(means - means.mean(dim=0))


def _centred(features: Features, name: str) -> Tensor:
    x = features.double()
    x = x - x.mean(dim=0)
    if not bool(x.any()):
        raise ValueError(f"the features {name!r} are all equal; there is nothing to compare")
    return x
