"""The metrics of a detector, by scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve


def sklearn_metrics(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    false, true, _ = roc_curve(targets, scores, drop_intermediate=False)
    return {
        "auroc": roc_auc_score(targets, scores),
        "aupr": average_precision_score(targets, scores),
        "aupr-normal": average_precision_score(1 - np.asarray(targets).astype(int), -np.asarray(scores)),
        "tnr@95": 1 - false[np.flatnonzero(true >= 0.95)[0]],
    }
