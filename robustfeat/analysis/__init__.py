"""What features look like: how far an attack moves them, and how alike those of two models are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.lazy import attach

if TYPE_CHECKING:
    from robustfeat.analysis.bound import loss_gap_bound
    from robustfeat.analysis.describe import describe
    from robustfeat.analysis.shift import Shift, feature_shift
    from robustfeat.analysis.similarity import class_correlation_gap, linear_cka

__all__ = ["Shift", "class_correlation_gap", "describe", "feature_shift", "linear_cka", "loss_gap_bound"]

attach(__name__)
