"""The checks of features and targets for all tasks, which run once at the entry points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from robustfeat.numerics.checks import refuse


def check_finite(features: Tensor) -> None:
    """Check that features contain neither NaN nor infinite values.

    Raises:
        ValueError: otherwise; immediately, or, in an attack, when its checks are evaluated.
    """
    refuse(~torch.isfinite(features.detach()).all(), lambda: ValueError("features contain NaN or infinite values"))


def check_features(features: Any, width: int | None = None) -> None:
    """Check that features are finite floats (n, d), of the fitted width.

    Args:
        features: the features to check.
        width: the width of the features that the task was fitted on; None skips this check.

    Raises:
        ValueError: otherwise.
    """
    if not isinstance(features, Tensor) or features.ndim != 2 or not features.is_floating_point():
        what = (
            f"{features.dtype} of shape {tuple(features.shape)}"
            if isinstance(features, Tensor)
            else type(features).__name__
        )
        raise ValueError(f"features must be a float tensor (n, d), got {what}")
    if width is not None and features.shape[1] != width:
        raise ValueError(f"features have width {features.shape[1]}, the task was fitted on width {width}")
    check_finite(features)


def class_numbers(targets: Any, count: int) -> Tensor:
    """Check targets and convert them to int64.

    Args:
        targets: (count, ...), integers of any type, or bools.
        count: the number of features.

    Raises:
        ValueError: for floats, for other types than tensors, for another number of targets, and for negative numbers.
    """
    if not isinstance(targets, Tensor):
        raise ValueError(f"targets must be a tensor of integer class numbers, got {type(targets).__name__}")
    if targets.is_floating_point() or targets.is_complex():
        raise ValueError(f"targets must be integer class numbers, got {targets.dtype} of shape {tuple(targets.shape)}")
    if targets.ndim == 0:
        raise ValueError("targets must be integer class numbers (n,), got a single one without a dimension")
    if len(targets) != count:
        raise ValueError(f"{count} features but {len(targets)} targets")
    numbers = targets.long()
    if numbers.numel():
        least = numbers.min()
        refuse(least < 0, lambda: ValueError(f"targets must not be negative, got {int(least)}"))
    return numbers


def to_learn_from(features: Any, targets: Any) -> Tensor:
    """Check training data and return the targets as int64.

    Args:
        features: (m, d), the training features, m at least 1.
        targets: (m,), their labels.

    Raises:
        ValueError: for invalid or empty training data.
    """
    check_features(features)
    if len(features) == 0:
        raise ValueError("there are no features to fit on")
    numbers = class_numbers(targets, len(features))
    if numbers.ndim != 1:
        raise ValueError(f"targets must be integer class numbers (n,), got shape {tuple(numbers.shape)}")
    return numbers
