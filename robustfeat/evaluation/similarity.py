"""The similarity of the features of two models of any widths: linear CKA and the correlations between classes."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.numerics.types import Features, Labels


def linear_cka(one: Features, other: Features) -> float:
    """Compute centred kernel alignment with linear kernels, Kornblith et al. 2019 (arXiv 1905.00414), equation 3 for X X^T.

    The expectation for unrelated features grows with d e / n, so n should be much larger than the widths.

    Args:
        one: (n, d), the features of the first model.
        other: (n, e), the features of the second model, for the same images row by row.

    Returns:
        The similarity in [0, 1]; 1 for features that differ by a rotation, a scale and a shift.

    Raises:
        ValueError: for different numbers of rows, and for features without any spread.
    """
    x, y = _centred(one, "one"), _centred(other, "other")
    if len(x) != len(y):
        raise ValueError(f"one has {len(x)} rows and other {len(y)}; give features of the same images")
    cross = (x.T @ y).pow(2).sum()
    return float(cross / ((x.T @ x).norm() * (y.T @ y).norm()))


def class_correlation_gap(one: Features, other: Features, labels: Labels) -> float:
    """Compute the mean absolute difference of the correlations between classes.

    The correlation of two classes is that of their mean features, over the dimensions, after the mean of all classes is
    subtracted. It shows how much structural knowledge of the teacher a student has learnt; compare Tian et al. 2020, figure 2,
    where it is measured on logits.

    Args:
        one: (n, d), the features of the first model.
        other: (n, e), the features of the second model, for the same images row by row.
        labels: (n,), the labels of the images.

    Returns:
        The difference in [0, 2]; 0 for equal structure.

    Raises:
        ValueError: for fewer than three classes (two always have correlation -1), and for different numbers of rows.
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
