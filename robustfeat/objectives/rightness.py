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
    """p_T(y | x), in [0, 1]; without labels that of the best class."""
    p = losses.wide(logits).softmax(dim=1)
    return p.amax(dim=1) if labels is None else p.gather(1, labels[:, None]).squeeze(1)


def correct(logits: Logits, labels: Labels | None) -> PerExample:
    """1 where the teacher's best class is y, else 0."""
    assert labels is not None, "setup refuses data without labels"
    return (logits.argmax(dim=1) == labels).float()


def entropy(logits: Logits, labels: Labels | None) -> PerExample:
    """-sum_k p_k log p_k / log K of the teacher's K class probabilities: 0 where it is sure, 1 where it knows nothing."""
    if logits.shape[1] < 2:
        raise ValueError("the teacher tells no classes apart, and has no entropy to weigh with; use another weight")
    log_p = losses.wide(logits).log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).clamp(max=0) / math.log(logits.shape[1])


WEIGHTS = {"teacher_probability": probability, "teacher_correct": correct, "entropy": entropy}


class Rightness:
    """w(x, y), in [0, 1]: one of WEIGHTS to the power of beta, or 1.

    "entropy" is in the spirit of SAAD (Lee & Chung 2025, arXiv 2512.10275): images whose attack carries over to the teacher teach
    most, and the teacher's entropy on the attacked image tells them at no cost. Their code weighs with 5 (H_i - min_j H_j) over
    the batch, H in nats, and gives the clean term the rest; here H_i / log K is divided by the sum of the batch, as the other
    weights are.

    on: the image on which the teacher is judged.
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
        """(n,), without gradient."""
        if self.kind == "none":
            return torch.ones(len(views.clean), device=views.clean.device)
        teacher = views.teacher_clean if self.on == "clean" else views.teacher_attacked
        weights = WEIGHTS[self.kind](teacher.logits, views.batch.labels) ** self.beta
        self._remark(weights)
        return weights

    def _remark(self, weights: PerExample) -> None:
        """Say where the weights of the first batch are all 1: then there is nothing to reweight. Later ones are in the log."""
        if self.looked:
            return
        self.looked = True
        if (mean := float(weights.mean())) > 0.99:
            log.warning(
                "the mean weight (%s) of the first batch is %.3f: the reweighting is a no-op here", self.kind, mean
            )
