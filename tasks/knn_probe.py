"""The k-nearest-neighbour probe, in which training features vote for the class of a feature, without training."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.index import FeatureIndex
from robustfeat.numerics import losses
from robustfeat.numerics.scale import unit
from robustfeat.numerics.types import Features, Logits, PerExample
from robustfeat.tasks import TASKS
from robustfeat.tasks.aim import Aim
from robustfeat.tasks.base import Task
from robustfeat.tasks.linear import check_classes, class_losses

UNSEEN = -1e9  # log votes of a class without neighbours; finite, so that margins are


class Votes(NamedTuple):
    """Log votes (n, classes) of training features.

    Args:
        wide: the log votes of all training features.
        few: the log votes of the k nearest ones.
    """

    wide: Logits
    few: Logits


@TASKS.register("knn-probe")
class KNNProbe(Task):
    """The k nearest training features by cosine vote for the class, with weight exp(cosine / temperature), Wu et al. 2018.

    Metrics are computed with a FAISS index, as in deployment. Attacks climb the votes of *all* training features, because the
    vote of k neighbours that agree has no gradient towards any other class.

    Args:
        k: the number of neighbours that vote; a smaller training set votes as a whole.
        temperature: the temperature of the weights.
        index: a FAISS factory string; "Flat" is exact.
    """

    normal: Tensor | None
    labels: Tensor | None

    def __init__(self, k: int = 20, temperature: float = 0.07, index: str = "Flat") -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k!r}")
        if not temperature > 0:
            raise ValueError(f"temperature must be greater than 0, got {temperature!r}")
        self.k, self.temperature, self.index = k, temperature, index
        self.register_buffer("normal", None)
        self.register_buffer("labels", None)
        self.classes = 0  # of the training targets
        self.index_: FeatureIndex | None = None

    @property
    def argument(self) -> str:
        return "" if self.index == "Flat" else self.index

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(index=argument)

    def _fit(self, features: Features, targets: Tensor) -> None:
        if len(targets.unique()) < 2:
            raise ValueError("a probe needs at least two classes, the training targets have one")
        self.normal, self.labels = unit(features.detach().float()), targets.clone()
        self._restore()

    def _restore(self) -> None:
        assert self.normal is not None
        assert self.labels is not None
        self.classes = int(self.labels.max()) + 1
        self.index_ = FeatureIndex(self.normal.shape[1], factory=self.index).add(self.normal)

    def logits(self, features: Features) -> Logits:
        """Return the log votes (n, classes) of all training features."""
        return self._evidence(self._seen(features)).wide

    def aims(self) -> dict[str, Aim]:
        def of_all(loss: Callable[[Logits, Tensor], PerExample]) -> Callable[[Votes, Tensor], PerExample]:
            return lambda votes, asked: loss(votes.wide, asked)

        losses: dict[str, Callable[[Votes, Tensor], PerExample]] = {
            "decision": lambda votes, asked: self._loss(votes, asked[:, 0])
        }
        losses |= {name: of_all(loss) for name, loss in class_losses(self.classes).items()}
        # An approximate index can still find what the exact twin has lost: there the attack goes on.
        return {"": Aim(self, losses, wins=self.index == "Flat")}

    def _evidence(self, features: Features) -> Votes:
        assert self.normal is not None
        assert self.labels is not None
        scores = unit(features.to(self.normal.dtype)) @ self.normal.T / self.temperature
        best, rows = scores.topk(min(self.k, scores.shape[1]), dim=1)
        return Votes(self._votes(scores, self.labels.expand_as(scores)), self._votes(best, self.labels[rows]))

    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        assert self.index_ is not None
        assert self.labels is not None
        hits = self.index_.search(features.float(), min(self.k, len(self.labels)), widen=False)
        ids, cosines = torch.from_numpy(hits.ids), torch.from_numpy(hits.scores)
        cosines = cosines.clamp_min(-1e30)  # an approximate index may have found nothing
        votes = self._votes(cosines / self.temperature, self.labels.cpu()[ids])
        right = (votes.argmax(dim=1) == targets.cpu()) & (ids[:, 0] >= 0)
        return {"accuracy": right.float().to(features.device)}

    def _loss(self, evidence: Votes, targets: Tensor) -> PerExample:
        """Return the k neighbours' log votes for the best wrong class minus those for the right one, > 0 exactly for errors.

        If all neighbours agree, their votes have no gradient; beyond the reach of a vote, all training features count.
        """
        assert self.labels is not None
        few, wide = losses.margin(evidence.few, targets), losses.margin(evidence.wide, targets)
        # The largest margin with votes on both sides.
        reach = 2 / self.temperature + math.log(min(self.k, len(self.labels)))
        agreed = torch.where(few > 0, reach + F.softplus(wide), -reach - F.softplus(-wide))
        return torch.where(few.abs() > reach, agreed, few)

    def _asked(self, clean: Features, targets: Tensor) -> Tensor:
        return losses.best_first(self._evidence(clean).wide, targets)

    def _check_targets(self, targets: Tensor) -> None:
        check_classes(targets, self.classes)

    def _votes(self, scores: Tensor, labels: Tensor) -> Logits:
        """Return the log sum exp of the scores (n, k) of each class, with labels (n, k)."""
        # Less the largest of its class: far votes must not vanish beside near ones.
        most = scores.new_full((len(scores), self.classes), UNSEEN).scatter_reduce(1, labels, scores.detach(), "amax")
        votes = scores.new_zeros(len(scores), self.classes).scatter_add(
            1, labels, (scores - most.gather(1, labels)).exp()
        )
        return torch.where(votes > 0, votes.clamp_min(1e-38).log() + most, UNSEEN)
