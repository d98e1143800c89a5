"""What features and targets must be, whatever the task: checked where they come in, and not again on the way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from robustfeat.numerics.checks import refuse


def check_finite(features: Tensor) -> None:
    """ValueError for NaN and infinite values: at once, or when the checks of an attack are looked at."""
    refuse(~torch.isfinite(features.detach()).all(), lambda: ValueError("features contain NaN or infinite values"))


def check_features(features: Any, width: int | None = None) -> None:
    """ValueError unless features are finite floats (n, d), of the fitted width where that is known."""
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
    """`count` targets of any type of integers, or bools, as int64.

    Raises ValueError for floats, for what is no tensor, and for negative numbers.
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
    """Targets (m,) of features (m, d), as int64, that are something to learn from; ValueError otherwise."""
    check_features(features)
    if len(features) == 0:
        raise ValueError("there are no features to fit on")
    numbers = class_numbers(targets, len(features))
    if numbers.ndim != 1:
        raise ValueError(f"targets must be integer class numbers (n,), got shape {tuple(numbers.shape)}")
    return numbers
