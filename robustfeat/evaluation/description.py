"""What an attack does to the features of a model, and how much of the teacher's structure is left: in numbers for a report."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from robustfeat.evaluation.bound import loss_gap_bound
from robustfeat.evaluation.shift import Shift
from robustfeat.evaluation.similarity import class_correlation_gap, linear_cka
from robustfeat.numerics.logistic import Linear
from robustfeat.numerics.types import Labels


def describe(
    shift: Shift, labels: Labels | None = None, *, teacher: Shift | None = None, head: Linear | None = None
) -> dict[str, float]:
    """Numbers about features of the same images, clean and attacked (`feature_shift`).

    teacher: the same of the teacher, on the same images and under an attack on its own features: adds CKA and class-correlation
        gap between student and teacher, clean and attacked. Class correlations need labels of at least three classes.
    head: a linear classifier on the features: adds how much the attack raises its cross-entropy, and the bound on that which
        the shift gives.
    """
    found = {"relative shift": shift.relative, "cosine": shift.cosine}
    if teacher is not None:
        pairs = {"": (shift.clean, teacher.clean), ", attacked": (shift.attacked, teacher.attacked)}
        for when, (mine, theirs) in pairs.items():
            found[f"CKA to the teacher{when}"] = linear_cka(mine, theirs)
            if labels is not None and len(labels.unique()) > 2:
                found[f"class-correlation gap to the teacher{when}"] = class_correlation_gap(mine, theirs, labels)
    if head is not None and labels is not None:
        with torch.no_grad():
            clean, attacked = (float(F.cross_entropy(head(x), labels)) for x in (shift.clean, shift.attacked))
        found |= {"probe's loss gap": attacked - clean, "bound on it": loss_gap_bound(head.weight, shift.distances)}
    return found
