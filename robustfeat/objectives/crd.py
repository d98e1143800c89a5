"""CRD, contrastive representation distillation, Tian et al. 2020 (ICLR, arXiv 1910.10699)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustfeat.numerics import losses
from robustfeat.numerics.types import Embeddings, Features, Labels, Loss, Losses
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.decided import Decided
from robustfeat.objectives.memory import MemoryBank
from robustfeat.objectives.pair import affine, need_labels, teacher_width
from robustfeat.objectives.ranges import positive
from robustfeat.objectives.views import Views
from robustfeat.runtime.parallel import gather, mean_over_processes

MOMENTUM = 0.5  # of the banks


@OBJECTIVES.register("crd")
class CRD(Objective, Decided):
    """Contrastive distillation with memory banks: both networks' embeddings of an image match, those of other classes do not.

        s = normalise(g_S(f_S(x))),  t = normalise(g_T(f_T(x))),  g: trained linear layers to `dim`
        l(u, V)_i = softplus(-a_ii) + sum over k of softplus(a_ik),  a_ik = u_i . V_k / tau - log(c N)
        L = CE(S(x), y) + crd mean_i [ l(s, bank of t)_i + l(t, bank of s)_i ]

    Both banks hold one vector per training image, momentum 0.5; k runs over N rows of other classes ("exact" mode), and the
    positive, too, is a stored vector: the image's own in the other bank, as it was before this step. c is each half's mean of
    exp(u.V / tau) over the first batch. The banks carry no gradient, so that the half with the teacher as anchor trains g_T
    alone and not the student.

    The authors' code computes the same from exp(u.V / tau) / (c M) with the chance level N / M and two logarithms, with 1e-7
    added; it initialises the banks with uniform numbers instead of unit vectors, and draws without replacement where it can.

    Args:
        crd: weight of the contrastive term.
        tau: temperature.
        dim: width of the embeddings.
        negatives: N, stored negatives drawn per image; at most as many as the data has for every class.
    """

    needs_teacher = True
    robust = False

    c: Tensor

    def __init__(self, crd: float = 0.8, tau: float = 0.07, dim: int = 128, negatives: int = 16_384) -> None:
        super().__init__()
        positive(crd=crd, tau=tau, dim=dim, negatives=negatives)
        self.crd, self.tau, self.dim, self.negatives = crd, tau, dim, negatives
        self._seen: list[tuple[Labels, Embeddings, Embeddings]] = []

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        self._seen.clear()  # of an earlier run with this object
        self.decide_anew()
        labels = need_labels(spaces, self.name)
        self.teacher_side = affine(teacher_width(spaces, self.name), self.dim, generator)
        self.student_side = affine(spaces.student_dim, self.dim, generator)
        self.student_bank = MemoryBank(labels, self.dim, MOMENTUM, generator)
        self.teacher_bank = MemoryBank(labels, self.dim, MOMENTUM, generator)
        self.drawn = min(self.negatives, len(labels) - int(self.student_bank.count.max()))
        self.register_buffer("c", torch.zeros(2))  # of the student's and the teacher's half; 0 until the first batch

    def inner(self, views: Views) -> Loss | None:
        return None

    def forward(self, views: Views) -> Losses:
        ce = losses.cross_entropy(views.student_clean.logits, views.labels).mean()
        features, taught = views.student_clean.features, views.teacher_clean.features
        # The critic is float32 even under autocast: exp(u.V / tau) has no room for three digits. The networks are not.
        with torch.autocast(features.device.type, enabled=False):
            student = embed(self.student_side, features)
            teacher = embed(self.teacher_side, taught)
            others = self.student_bank.draw(views.rows, self.drawn, views.generator)
            columns = torch.cat([views.rows[:, None], others], dim=1)  # the partner first; the same for both halves
            scores = (
                self.teacher_bank.scores(student / self.tau, columns),
                self.student_bank.scores(teacher / self.tau, columns),
            )
            if not self.decided("c"):
                self.decide("c", mean_over_processes(torch.stack([half.exp().mean() for half in scores])))
            contrast = self._half(scores[0], self.c[0]) + self._half(scores[1], self.c[1])
        if self.training:
            self._seen.append((views.rows, student.detach(), teacher.detach()))
        return Losses({"ce": ce, "crd": self.crd * contrast}, {})

    def _half(self, scores: Tensor, c: Tensor) -> Tensor:
        """Compute the mean of l(u, V) over anchors from u.V / tau; the first column belongs to the anchor's positive."""
        a = scores - torch.log(c * self.drawn)
        return (F.softplus(-a[:, 0]) + F.softplus(a[:, 1:]).sum(dim=1)).mean()

    def after_step(self) -> None:
        """Write the embeddings of all processes into the banks, in rank order, so that all banks stay equal."""
        for rows, student, teacher in self._seen:
            everywhere = gather(rows)
            self.student_bank.update(everywhere, gather(student))
            self.teacher_bank.update(everywhere, gather(teacher))
        self._seen.clear()


def embed(layer: nn.Linear, features: Features) -> Embeddings:
    """Apply a trained layer and normalise to length 1: (n, dim)."""
    return F.normalize(layer(features), dim=1)
