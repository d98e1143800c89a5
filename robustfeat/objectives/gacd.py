"""GACD: guided adversarial contrastive distillation, Bai et al. 2020 (arXiv 2009.09922).

Implements the method described in the paper's abstract; unspecified details follow CRD (Tian et al. 2020). docs/guide/gacd.md
lists every choice.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustfeat.numerics import losses
from robustfeat.numerics.types import Embeddings, Features, Images, Labels, Logits, Loss, Losses, PerExample
from robustfeat.objectives import OBJECTIVES
from robustfeat.objectives.base import Objective, Spaces
from robustfeat.objectives.critic import Critic, negatives
from robustfeat.objectives.decided import Decided
from robustfeat.objectives.gradient_matching import GradientMatched, gradient_matching
from robustfeat.objectives.memory import MemoryBank
from robustfeat.objectives.pair import affine
from robustfeat.objectives.ranges import not_negative, positive
from robustfeat.objectives.rightness import Kind, Rightness
from robustfeat.objectives.views import Views
from robustfeat.runtime.choices import check_choices
from robustfeat.runtime.parallel import gather, mean_over_processes

MOMENTUM = 0.5  # of the banks, as in CRD


@OBJECTIVES.register("gacd")
class GACD(GradientMatched, Objective, Decided):
    """Guided adversarial contrastive distillation: each sample is weighted by the teacher's correctness on it.

        v_i = g_T(f_T(x_i)),  u_j = g_S(f_S(x~_j)),  t_i = v_i / |v_i|,  s_j = u_j / |u_j|
        a_ij = t_i . s_j / tau - log(c N)
        l_i = softplus(-a_ii) + sum over negatives j of softplus(a_ij) + align |u_i - v_i|^2 / r^2
        L = sum_i w_i l_i / sum_i w_i + guide mean_i CE(h_T(r s_i), y_i),  w_i = p_T(y_i | x_i) ^ beta

    The teacher's embedding t_i is the anchor. The N negatives are the current student embeddings of the other images of the
    batch (within a process) and, with `bank`, stored ones of other classes. c is the mean of exp(t.s / tau) and r that of |v|
    over the first batch. h_T is the teacher's frozen head. g_T is the identity unless `teacher_map` selects another map; g_S is
    the identity if the widths then agree, otherwise r W f / |W f| with trained W, bounded at any learning rate.

    Alignment and guide are additions to plain GACD (align = guide = 0). The critic's loss saturates once a pair is
    distinguished from the others, long before the student's features coincide with the teacher's in direction and length;
    alignment still reduces their distance then. The guide acts on the directions that the labels require, even if they have
    little of the teacher's variance, and on images where the teacher errs.

    Args:
        tau: temperature.
        align: weight of the alignment term.
        guide: weight of the guide. Without labels y is the teacher's best class.
        weight: "teacher_probability" of the label (without labels: of its best class), "teacher_correct" (0 or 1), "entropy" of
            its prediction over that of a uniform one (requires weight_on="attacked") or "none".
        beta: exponent of the weight.
        weight_on: the image on which the weight is computed, "clean" or "attacked".
        view: the student's input: "student_adv" (attacked to raise `inner_loss`), "teacher_adv" (fools the teacher) or "clean".
        inner_loss: the loss that the attack on the student raises: "objective" (l_i and the guide, without stored negatives),
            "cosine" (1 - t.s) or "teacher_head" (the guide's cross-entropy alone).
        bank: stored negatives drawn per image; 0 for none.
        symmetric: add the other half of CRD: the student's embedding as anchor, the teacher's of other images as negatives.
        teacher_map: "none", or a "fixed" (random) or "trained" linear map of the teacher's features to `map_dim`.
        map_dim: width of the space of `teacher_map`.
        ce: weight of a cross-entropy term on the student's own head; 0 leaves the head to be selected after training.
        igdm: weight of input gradient matching (`gradient_matching`), with h_T(r s) as the student's logits.
    """

    needs_teacher = True

    radius: Tensor

    def __init__(
        self,
        tau: float = 0.2,
        align: float = 20.0,
        guide: float = 2.0,
        weight: Kind = "teacher_probability",
        beta: float = 1.0,
        weight_on: Literal["clean", "attacked"] = "clean",
        view: Literal["student_adv", "teacher_adv", "clean"] = "student_adv",
        inner_loss: Literal["cosine", "teacher_head", "objective"] = "objective",
        bank: int = 0,
        symmetric: bool = False,
        teacher_map: Literal["none", "fixed", "trained"] = "none",
        map_dim: int = 128,
        ce: float = 0.0,
        igdm: float = 0.0,
    ) -> None:
        super().__init__()
        positive(tau=tau, map_dim=map_dim)
        not_negative(align=align, guide=guide, bank=bank, ce=ce, igdm=igdm)
        self.tau, self.align, self.guide = tau, align, guide
        self.weight, self.beta, self.weight_on = weight, beta, weight_on
        self.rightness = Rightness(weight, beta, weight_on)
        self.view, self.inner_loss = view, inner_loss
        self.bank, self.symmetric = bank, symmetric
        self.teacher_map, self.map_dim, self.ce, self.igdm = teacher_map, map_dim, ce, igdm
        check_choices(self)
        self._seen: list[tuple[Labels, Embeddings, Embeddings]] = []
        if self.uses_teacher_head and teacher_map != "none":
            raise ValueError(
                "the teacher's head needs the teacher's own space; with a teacher_map use guide=0, igdm=0 and another "
                "inner_loss than 'teacher_head'"
            )
        if align and teacher_map == "trained":
            raise ValueError("alignment needs a space that stays where it is; with teacher_map='trained' use align=0")

    @property
    def trains_head(self) -> bool:
        return self.ce > 0

    @property
    def uses_teacher_head(self) -> bool:
        """Whether the teacher's head is applied to the student's features, in training or in the attack."""
        return self.guide > 0 or self.igdm > 0 or (self.view == "student_adv" and self.inner_loss == "teacher_head")

    @property
    def in_teachers_space(self) -> bool:
        return isinstance(self.student_side, nn.Identity)

    def setup(self, spaces: Spaces, generator: torch.Generator) -> None:
        self._seen.clear()  # of an earlier run with this object
        self.decide_anew()
        self.rightness.looked = False
        if spaces.teacher_dim is None:
            raise ValueError("gacd distils from a teacher; give one with teacher=...")
        labelled = spaces.labels is not None
        judged = self.weight not in ("none", "entropy") or self.uses_teacher_head or self.view == "teacher_adv"
        if judged and labelled and spaces.teacher_classes != spaces.classes:
            raise ValueError(
                f"the teacher knows {spaces.teacher_classes} classes and the data has {spaces.classes}; "
                "choose another teacher, or weight='none' and guide=0 (features need no common classes)"
            )
        if not labelled and (self.view == "teacher_adv" or self.weight == "teacher_correct"):
            raise ValueError(
                "the data set has no labels; use another view than 'teacher_adv' and another weight than 'teacher_correct'"
            )
        dim = spaces.teacher_dim if self.teacher_map == "none" else self.map_dim
        self.teacher_side = (
            nn.Identity() if self.teacher_map == "none" else affine(spaces.teacher_dim, dim, generator, bias=False)
        )
        self.teacher_side.requires_grad_(self.teacher_map == "trained")
        same = self.teacher_map == "none" and spaces.student_dim == dim
        self.student_side = nn.Identity() if same else affine(spaces.student_dim, dim, generator, bias=False)
        self.critic = Critic()
        if self.symmetric:
            self.symmetric_critic = Critic()
        self.register_buffer("radius", torch.zeros(()))  # r; 0 until the first batch
        if self.bank:
            classes = spaces.labels if spaces.labels is not None else torch.arange(spaces.samples)
            self.student_bank = MemoryBank(classes, dim, MOMENTUM, generator)
            if self.symmetric:
                self.teacher_bank = MemoryBank(classes, dim, MOMENTUM, generator)

    def targets(self, teacher_features: Features) -> Embeddings:
        """Compute v, (n, e). The first call sets r."""
        targets = losses.wide(self.teacher_side(teacher_features))
        if not self.decided("radius"):
            self.decide("radius", mean_over_processes(targets.norm(dim=1).mean()))
        return targets

    def embed(self, student_features: Features) -> Embeddings:
        """Compute u, (n, e); call `targets` first, which sets r."""
        mapped = losses.wide(self.student_side(student_features))
        return mapped if isinstance(self.student_side, nn.Identity) else self.radius * F.normalize(mapped, dim=1)

    def alignment(self, targets: Embeddings, embeddings: Embeddings) -> PerExample:
        """Compute align |u - v|^2 / r^2, (n,)."""
        return self.align * (embeddings - targets).square().sum(dim=1) / self.radius**2

    def classify(self, embeddings: Embeddings, views: Views) -> Logits:
        """Compute h_T(r s), (n, k)."""
        return views.teacher.classify(self.radius * F.normalize(embeddings, dim=1))

    def through_head(self, embeddings: Embeddings, views: Views) -> PerExample:
        """Compute CE(h_T(r s), y), (n,); without labels y is the teacher's best class."""
        return losses.cross_entropy(self.classify(embeddings, views), views.labels_or_best)

    def inner(self, views: Views) -> Loss | None:
        if self.view == "clean":
            return None
        if self.view == "teacher_adv":
            teacher, labels = views.teacher, views.labels
            return lambda images: losses.cross_entropy(teacher(images).logits, labels)
        student = views.student
        with torch.no_grad():
            targets = self.targets(views.teacher_clean.features)
        anchors = F.normalize(targets, dim=1)
        if self.inner_loss == "teacher_head":
            return lambda images: self.through_head(self.embed(student.features(images)), views)
        if self.inner_loss == "cosine":
            return lambda images: 1 - (anchors * F.normalize(self.embed(student.features(images)), dim=1)).sum(dim=1)

        def objective(images: Images) -> PerExample:
            features = student.features(images)
            with torch.autocast(features.device.type, enabled=False):
                embeddings = self.embed(features)
                scores = anchors / self.tau @ F.normalize(embeddings, dim=1).T
                loss = self.critic(scores, keep=False)[0] + self.alignment(targets, embeddings)
                return loss + self.guide * self.through_head(embeddings, views) if self.guide else loss

        return objective

    def forward(self, views: Views) -> Losses:
        features, taught, weights = views.student_attacked.features, views.teacher_clean.features, self.rightness(views)
        # The critic is float32 even under autocast: exp(t.s / tau) has no room for three digits. The networks are not.
        with torch.autocast(features.device.type, enabled=False):
            targets, moved = self.targets(taught), self.embed(features)
            anchors, embeddings = F.normalize(targets, dim=1), F.normalize(moved, dim=1)
            scores = (anchors / self.tau) @ embeddings.T
            stored = self._stored("student_bank", anchors, views)
            loss, log_belief = self.critic(scores, stored)
            loss = loss + self.alignment(targets, moved)
            if self.symmetric:
                loss = loss + self.symmetric_critic(scores.T, self._stored("teacher_bank", embeddings, views))[0]
            terms = {"gacd": (weights * loss).sum() / weights.sum().clamp_min(1e-12)}
            if self.guide:
                terms["guide"] = self.guide * self.through_head(moved, views).mean()
            if self.ce:
                terms["ce"] = self.ce * losses.cross_entropy(views.student_attacked.logits, views.labels).mean()
        terms |= gradient_matching(self.igdm, views, lambda student: self.classify(self.embed(student.features), views))
        if self.bank and self.training:
            self._seen.append((views.rows, anchors.detach(), embeddings.detach()))
        notes = {
            "weight": weights.detach(),
            "cosine": scores.detach().diagonal().mean() * self.tau,
            # I(T; S) >= log N + E log h(+), Tian et al. 2020, equation 10; in nats.
            "mutual_information": math.log(negatives(scores, stored)) + log_belief.mean(),
        }
        return Losses(terms, notes)

    def _stored(self, name: str, anchors: Embeddings, views: Views) -> Tensor | None:
        """Compute t.s / tau of each anchor with `bank` negatives drawn from a memory bank."""
        if not self.bank:
            return None
        memory: MemoryBank = getattr(self, name)
        return memory.scores(anchors / self.tau, memory.draw(views.rows, self.bank, views.generator))

    def after_step(self) -> None:
        """Write the embeddings of all processes into the banks, in rank order, so that all banks stay equal."""
        for rows, anchors, embeddings in self._seen:
            everywhere = gather(rows)
            self.student_bank.update(everywhere, gather(embeddings))
            if self.symmetric:
                self.teacher_bank.update(everywhere, gather(anchors))
        self._seen.clear()
