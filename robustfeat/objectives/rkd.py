"""RKD, Park et al. 2019 (arXiv 1904.05068): distils distances and angles between the images of a batch, not the features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics import losses
from robustfeat.numerics.types import Features, Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.pair import need_labels, teacher_width
from robustfeat.objectives.ranges import not_negative
from robustfeat.objectives.views import Views


@OBJECTIVES.register("rkd")
class RKD(Objective):
    """Relational distillation on clean images; the widths of student and teacher need not agree.

        d_ij = |f_i - f_j| / mean over pairs,  a_ijk = cos of the angle at f_j between f_i and f_k
        L = CE(S(x), y) + distance mean_ij huber(d_ij(S) - d_ij(T)) + angle mean_ijk huber(a_ijk(S) - a_ijk(T))

    Pairs and triples are of different images of the process's own part of a batch; the Huber loss becomes linear at 1. The
    authors' code averages over all n^2 and n^3 tuples, including those of an image with itself, which add 0: its terms are
    smaller by (n - 1) / n and (n - 1)(n - 2) / n^2. Its classification script also takes features of length 1 and adds 16 KL at
    temperature 4; the formula of the paper, used here, has neither. Memory grows with n^2 d and n^3.

    Args:
        distance: weight of the distances; the paper uses 25 for classification.
        angle: weight of the angles; the paper uses 50.
    """

    needs_teacher = True
    robust = False

    def __init__(self, distance: float = 25.0, angle: float = 50.0) -> None:
        super().__init__()
        not_negative(distance=distance, angle=angle)
        self.distance, self.angle = distance, angle

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        teacher_width(spaces, self.name)
        need_labels(spaces, self.name)

    def inner(self, views: Views) -> Loss | None:
        return None

    def forward(self, views: Views) -> Losses:
        student, teacher = views.student_clean.features, views.teacher_clean.features
        if (n := len(student)) < 3:
            raise ValueError(
                f"rkd compares triples of images, and the batch has {n}; take a larger batch or fewer parts"
            )
        ce = losses.cross_entropy(views.student_clean.logits, views.labels).mean()
        # bfloat16 has no room for differences of directions.
        with torch.autocast(student.device.type, enabled=False):
            distance = F.smooth_l1_loss(distances(student), distances(teacher))
            angle = F.smooth_l1_loss(angles(student), angles(teacher), reduction="sum") / (n * (n - 1) * (n - 2))
        return Losses({"ce": ce, "distance": self.distance * distance, "angle": self.angle * angle}, {})


def distances(features: Features) -> Tensor:
    """Compute the distance of each pair i < j divided by the mean distance: (n (n - 1) / 2,)."""
    d = F.pdist(features)
    return d / d.mean().clamp_min(1e-12)


def angles(features: Features) -> Tensor:
    """Compute [j, i, k]: the cosine of the angle at image j between images i and k; 0 if one of them equals j. (n, n, n)."""
    difference = features[None] - features[:, None]
    length = difference.norm(dim=2, keepdim=True)
    # x / inf and not x / tiny: two images with one feature have no direction, and must not have a gradient of 1 / tiny.
    direction = difference / length.masked_fill(length == 0, torch.inf)
    return direction @ direction.mT
