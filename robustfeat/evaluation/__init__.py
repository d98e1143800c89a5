"""Evaluation of tasks, clean and under attack, with confidence intervals, records, model comparisons and robustness transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.evaluation.bound import loss_gap_bound
    from robustfeat.evaluation.comparison import Difference, compare
    from robustfeat.evaluation.description import describe
    from robustfeat.evaluation.evaluation import Evaluation
    from robustfeat.evaluation.evaluator import evaluate
    from robustfeat.evaluation.records import Records
    from robustfeat.evaluation.recounting import recount
    from robustfeat.evaluation.shift import Shift, feature_shift
    from robustfeat.evaluation.similarity import class_correlation_gap, linear_cka
    from robustfeat.evaluation.sizes import ladder
    from robustfeat.evaluation.transfers import Transfer, transfer

__all__ = [
    "Difference",
    "Evaluation",
    "Records",
    "Shift",
    "Transfer",
    "class_correlation_gap",
    "compare",
    "describe",
    "evaluate",
    "feature_shift",
    "ladder",
    "linear_cka",
    "loss_gap_bound",
    "recount",
    "transfer",
]

attach(__name__)
