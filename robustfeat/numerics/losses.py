"""Losses that several packages share: pure functions, one number per example, in float32 for any input except float64."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.types import Labels, Logits, PerExample


def wide(values: Tensor) -> Tensor:
    """Return values in float32, or in float64 if they are float64."""
    return values if values.dtype == torch.float64 else values.float()


def cross_entropy(logits: Logits, labels: Labels, smoothing: float = 0.0) -> PerExample:
    """Return -log softmax(logits)[label] per example; `smoothing` spreads that share of the label over all classes."""
    return F.cross_entropy(wide(logits), labels, reduction="none", label_smoothing=smoothing)


def kl(target: Logits, prediction: Logits, temperature: float = 1.0) -> PerExample:
    """Return KL(softmax(target / T) || softmax(prediction / T)) per example, summed over classes, without a factor T^2."""
    log_q = F.log_softmax(wide(prediction) / temperature, dim=1)
    log_p = F.log_softmax(wide(target) / temperature, dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)


def margin(logits: Logits, labels: Labels) -> PerExample:
    """Return the largest wrong logit minus the right one (Carlini & Wagner 2017): > 0 exactly if the prediction is wrong."""
    logits = wide(logits)
    right = logits.gather(1, labels[:, None]).squeeze(1)
    wrong = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return wrong - right


def dlr(logits: Logits, labels: Labels) -> PerExample:
    """Return the difference of logits ratio (Croce & Hein 2020): the margin over the gap of the best and the third best logit.

    With two classes there is no third logit, and the margin is returned.
    """
    if logits.shape[1] < 3:
        return margin(logits, labels)
    top = wide(logits).topk(3, dim=1).values
    return margin(logits, labels) / (top[:, 0] - top[:, 2]).clamp_min(1e-12)


def targeted_margin(logits: Logits, labels: Labels, targets: Labels) -> PerExample:
    """Return the logit of one wrong class minus that of the right one (Gowal et al. 2019): > 0 only for wrong predictions."""
    logits = wide(logits)
    return (logits.gather(1, targets[:, None]) - logits.gather(1, labels[:, None])).squeeze(1)


def targeted_dlr(logits: Logits, labels: Labels, targets: Labels) -> PerExample:
    """Return the targeted DLR: (z_target - z_label) / (best - mean of the third and fourth best logit).

    With three classes this ratio can be constant (if target and label are the first and the third); with two or three classes
    the margin towards the target is returned.
    """
    gap = targeted_margin(logits, labels, targets)
    if logits.shape[1] < 4:
        return gap
    top = wide(logits).topk(4, dim=1).values
    return gap / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2).clamp_min(1e-12)


def best_first(logits: Logits, labels: Labels) -> Tensor:
    """Return all classes (n, k) of each example: the right one in column 0, then the wrong ones by falling logit."""
    return wide(logits).scatter(1, labels[:, None], torch.inf).topk(logits.shape[1], dim=1).indices


def cosine_distance(a: Tensor, b: Tensor) -> PerExample:
    """Return 1 - cos(a, b) per row, in [0, 2]."""
    return 1 - F.cosine_similarity(wide(a), wide(b), dim=1)
