"""Numbers for a report on the feature shift under attack and on the similarity between student and teacher."""

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
    """Describe the features of the same images, clean and attacked, in numbers.

    Args:
        shift: the features of the model (`feature_shift`).
        labels: (n,), the labels of the images.
        teacher: the features of the teacher on the same images, under an attack on its own features. Adds the CKA and the
            class-correlation gap between student and teacher, clean and attacked. Class correlations need labels of at least
            three classes.
        head: a linear classifier on the features. With labels, adds the increase of its cross-entropy under attack and the
            bound on this increase from the shift.

    Returns:
        The numbers by name.
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
