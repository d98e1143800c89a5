"""Poisoning of a retrieval gallery: an attacker supplies a share of the gallery to degrade the searches of others."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.scale import unit
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks import TASKS
from robustfeat.tasks.aim import Aim
from robustfeat.tasks.base import Task
from robustfeat.tasks.retrieval import Retrieval

SHARP, SOFT = 20.0, 1.0  # of the count of searches, in units of the spread of the gaps


@TASKS.register("poisoning")
class Poisoning(Task):
    """Retrieval where an attacker adds test images to the gallery of training features; the other test images are clean queries.

    The images in the gallery, which keep their labels, are attacked, each so that it ranks before the best right item of as many
    searches for other classes as possible. The count of these searches is sharp against recall@1, and soft against MAP@R, where
    being nearer counts as well. Metrics are those of retrieval, over the searches; the clean images are honest additions.

    Args:
        share: the share of the gallery that the attacker supplies, in (0, 1); it takes at most half of the test images.
        index: a FAISS factory string, as for retrieval.
        seed: of the choice of images.
    """

    gallery: Tensor | None
    labels: Tensor | None
    queries: Tensor | None
    wanted: Tensor | None
    best: Tensor | None
    spread: Tensor | None

    def __init__(self, share: float = 0.01, index: str = "Flat", seed: int = 0) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share must be in (0, 1), got {share!r}")
        self.share, self.index, self.seed = share, index, seed
        for name in ("gallery", "labels", "queries", "wanted", "best", "spread"):
            self.register_buffer(name, None)

    @property
    def argument(self) -> str:
        return "" if self.share == 0.01 else f"{self.share:g}"

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(float(argument))

    def _fit(self, features: Features, targets: Tensor) -> None:
        self.gallery, self.labels = features.detach().float(), targets.clone()
        self.queries = None

    def _cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """Return the cases, whose targets are (label, 1 for images in the gallery)."""
        assert self.gallery is not None
        assert self.labels is not None
        n = len(features)
        count = max(1, round(self.share / (1 - self.share) * len(self.gallery)))
        if n < 2:
            raise ValueError(f"poisoning needs at least two test images, got {n}")
        if count > n // 2:
            raise ValueError(
                f"a share of {self.share:g} beside {len(self.gallery)} gallery items takes {count} test images, more than half "
                f"of the {n} there are; give more of them, or a smaller share"
            )
        poison = torch.zeros(n, dtype=torch.long)
        poison[torch.randperm(n, generator=generator(self.seed, Stream.POISON))[:count]] = 1
        device = self.gallery.device
        searches = (poison == 0).nonzero().squeeze(1)
        self.queries, self.wanted = (
            unit(features[searches].float()).to(device),
            labels[searches].to(device),
        )
        cosines = self.queries @ unit(self.gallery).T
        self.best = cosines.masked_fill(self.labels != self.wanted[:, None], -1).amax(dim=1)
        self.spread = (cosines - self.best[:, None]).std().clamp_min(1e-6)
        return torch.arange(n), torch.stack([labels.cpu(), poison], dim=1)

    def columns(self, targets: Tensor) -> dict[str, Tensor]:
        return {"": targets[:, 1] == 1}

    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        """Return the metrics of every search; NaN for the images in the gallery."""
        assert self.gallery is not None
        assert self.labels is not None
        inside = targets[:, 1] == 1
        device = self.gallery.device
        gallery = torch.cat([self.gallery, features[inside].detach().float().to(device)])
        labels = torch.cat([self.labels, targets[inside, 0].to(device)])
        judged = Retrieval(self.index).fit(gallery, labels).judge(features[~inside], targets[~inside, 0])
        return {
            name: torch.full((len(features),), torch.nan, dtype=torch.float64).index_put(
                ((~inside).nonzero().squeeze(1).cpu(),), values
            )
            for name, values in judged.items()
        }

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        if bool(judged["map@r"].isnan().all()):
            raise ValueError("no search has its class in the gallery; there is nothing to retrieve")
        return {name: float(values.double().nanmean()) for name, values in judged.items()}

    def aims(self) -> dict[str, Aim]:
        return {
            "recall@1": Aim(self, {"count": self._loss}, wins=False),
            "map@r": Aim(self, {"count": lambda gaps, targets: self.count(gaps, targets, SOFT)}, wins=False),
        }

    def _evidence(self, features: Features) -> Tensor:
        """Return the cosine to every search minus that of its best right item, (n, searches)."""
        if self.queries is None or self.best is None:
            raise RuntimeError("Poisoning does not know who searches; call cases first")
        return unit(features.to(self.queries.dtype)) @ self.queries.T - self.best

    def _loss(self, evidence: Tensor, targets: Tensor) -> PerExample:
        """Return the sharp count plus 1e-3 of the soft count, since far away the sharp count has no gradient."""
        return self.count(evidence, targets, SHARP) + 1e-3 * self.count(evidence, targets, SOFT)

    def count(self, gaps: Tensor, targets: Tensor, sharpness: float) -> PerExample:
        """Return a smooth share of the searches for other classes that find the image before their best right item.

        Args:
            gaps: (n, searches), the evidence.
            targets: (n, 2), the label, and 1 for images in the gallery.
            sharpness: in units of the spread of the gaps between items and best right items; infinite is the plain count.

        Returns:
            The shares (n,); 0 for the searches themselves.
        """
        assert self.spread is not None
        assert self.wanted is not None
        other = self.wanted != targets[:, :1]
        lost = torch.sigmoid(sharpness / self.spread * gaps).masked_fill(~other, 0).sum(dim=1)
        return torch.where(targets[:, 1] == 1, lost / other.sum(dim=1).clamp_min(1), 0)
