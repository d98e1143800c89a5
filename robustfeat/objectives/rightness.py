"""The weight of each image in GACD, computed from the teacher's prediction on it."""

from __future__ import annotations

import logging
import math
from typing import Literal

import torch

from robustfeat.numerics import losses
from robustfeat.numerics.types import Labels, Logits, PerExample
from robustfeat.objectives.ranges import not_negative
from robustfeat.objectives.views import Views

log = logging.getLogger(__name__)

Kind = Literal["teacher_probability", "teacher_correct", "entropy", "none"]


def probability(logits: Logits, labels: Labels | None) -> PerExample:
    """Compute p_T(y | x), in [0, 1]; without labels the probability of the best class."""
    p = losses.wide(logits).softmax(dim=1)
    return p.amax(dim=1) if labels is None else p.gather(1, labels[:, None]).squeeze(1)


def correct(logits: Logits, labels: Labels | None) -> PerExample:
    """Return 1 if the teacher's best class is y, otherwise 0, for each image."""
    assert labels is not None, "setup refuses data without labels"
    return (logits.argmax(dim=1) == labels).float()


def entropy(logits: Logits, labels: Labels | None) -> PerExample:
    """Compute -sum_k p_k log p_k / log K of the teacher's K class probabilities: 0 if it is certain, 1 if uniform."""
    if logits.shape[1] < 2:
        raise ValueError("the teacher tells no classes apart, and has no entropy to weigh with; use another weight")
    log_p = losses.wide(logits).log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).clamp(max=0) / math.log(logits.shape[1])


WEIGHTS = {"teacher_probability": probability, "teacher_correct": correct, "entropy": entropy}


class Rightness:
    """The weight w(x, y), in [0, 1]: one of WEIGHTS to the power of beta, or 1.

    "entropy" is in the spirit of SAAD (Lee & Chung 2025, arXiv 2512.10275): images whose attack transfers to the teacher teach
    most, and the teacher's entropy on the attacked image identifies them at no cost. Their code uses the weight 5 (H_i - min_j
    H_j) over the batch, H in nats, and gives the rest to the clean term; here H_i / log K is divided by the sum of the batch,
    like the other weights.

    Args:
        kind: the name of the weight, or "none" for 1.
        beta: exponent of the weight.
        on: the image on which the teacher is evaluated.

    Raises:
        ValueError: for a negative beta, and for "entropy" on clean images.
    """

    def __init__(self, kind: Kind, beta: float, on: Literal["clean", "attacked"]) -> None:
        not_negative(beta=beta)
        if kind == "entropy" and on == "clean":
            raise ValueError(
                "weight='entropy' asks how unsure the attack made the teacher; use weight_on='attacked' with it"
            )
        self.kind, self.beta, self.on = kind, beta, on
        self.looked = False

    def __call__(self, views: Views) -> PerExample:
        """Compute the weights (n,), without gradient."""
        if self.kind == "none":
            return torch.ones(len(views.clean), device=views.clean.device)
        teacher = views.teacher_clean if self.on == "clean" else views.teacher_attacked
        weights = WEIGHTS[self.kind](teacher.logits, views.batch.labels) ** self.beta
        self._remark(weights)
        return weights

    def _remark(self, weights: PerExample) -> None:
        """Warn if the mean weight of the first batch is close to 1, so that nothing is reweighted; the log has later ones."""
        if self.looked:
            return
        self.looked = True
        if (mean := float(weights.mean())) > 0.99:
            log.warning(
                "the mean weight (%s) of the first batch is %.3f: the reweighting is a no-op here", self.kind, mean
            )
