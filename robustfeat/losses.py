"""Losses that are shared: pure functions, one number per example, computed in float32 whatever comes in."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.types import Labels, Logits, PerExample


def cross_entropy(logits: Logits, labels: Labels, smoothing: float = 0.0) -> PerExample:
    """-log softmax(logits)[label] per example; `smoothing` spreads that share of the label over all classes."""
    return F.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=smoothing)


def kl(target: Logits, prediction: Logits, temperature: float = 1.0) -> PerExample:
    """KL(softmax(target / T) || softmax(prediction / T)), summed over classes, per example; no factor T^2."""
    log_q = F.log_softmax(prediction.float() / temperature, dim=1)
    log_p = F.log_softmax(target.float() / temperature, dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)


def margin(logits: Logits, labels: Labels) -> PerExample:
    """Largest wrong logit minus the right one (Carlini & Wagner 2017): > 0 exactly when the prediction is wrong."""
    logits = logits.float()
    right = logits.gather(1, labels[:, None]).squeeze(1)
    wrong = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return wrong - right


def cosine_distance(a: Tensor, b: Tensor) -> PerExample:
    """1 - cos(a, b) per row, in [0, 2]."""
    return 1 - F.cosine_similarity(a.float(), b.float(), dim=1)
