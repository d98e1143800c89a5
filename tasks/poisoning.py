"""A gallery of which an attacker supplies a share: how much worse do other people's searches become?"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.random import generator
from robustfeat.tasks.base import TASKS, Task, check_features, check_fit
from robustfeat.tasks.retrieval import Retrieval
from robustfeat.types import Features, PerExample

POISON = 14  # what this stream of random numbers is for


@TASKS.register("poisoning")
class Poisoning(Task):
    """Some test images are put into the gallery, with their labels, beside the training features; the others search it, clean.

    Attacked are the images in the gallery, each so that it comes before the best right item of as many searches for other classes
    as possible. Metrics are those of retrieval, over the searches; without attack the images are honest additions.

    Args:
        share: of the gallery that the attacker supplies; at most half of the test images.
        index: a FAISS factory string, as for retrieval.
        sharpness: of the count of searches: a gap of 1 / sharpness in cosine counts about 3/4.
        seed: of the choice of images.
    """

    gallery: Tensor | None
    labels: Tensor | None
    queries: Tensor | None
    asked: Tensor | None
    best: Tensor | None

    def __init__(self, share: float = 0.01, index: str = "Flat", sharpness: float = 20.0, seed: int = 0) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share must be in (0, 1), got {share!r}")
        if not sharpness > 0:
            raise ValueError(f"sharpness must be greater than 0, got {sharpness!r}")
        self.share, self.index, self.sharpness, self.seed = share, index, sharpness, seed
        for name in ("gallery", "labels", "queries", "asked", "best"):
            self.register_buffer(name, None)

    @property
    def title(self) -> str:
        return self.name if self.share == 0.01 else f"{self.name}:{self.share:g}"

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(float(argument))

    def fit(self, features: Features, targets: Tensor) -> Self:
        check_fit(features, targets)
        self.gallery, self.labels = features.detach().float(), targets.clone()
        self.queries = None
        return self

    def cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """Targets are (label, 1 for images in the gallery)."""
        self._require(self.gallery)
        assert self.gallery is not None
        assert self.labels is not None
        check_features(features, labels, width=self.gallery.shape[1])
        n = len(features)
        count = max(1, round(self.share / (1 - self.share) * len(self.gallery)))
        if n < 2:
            raise ValueError(f"poisoning needs at least two test images, got {n}")
        poison = torch.zeros(n, dtype=torch.long)
        poison[torch.randperm(n, generator=generator(self.seed, POISON))[: min(count, n // 2)]] = 1
        device = self.gallery.device
        searches = (poison == 0).nonzero().squeeze(1)
        self.queries, self.asked = (
            F.normalize(features[searches].float(), dim=1).to(device),
            labels[searches].to(device),
        )
        cosines = self.queries @ F.normalize(self.gallery, dim=1).T
        self.best = cosines.masked_fill(self.labels != self.asked[:, None], -1).amax(dim=1)
        return torch.arange(n), torch.stack([labels.cpu(), poison], dim=1)

    def columns(self, targets: Tensor) -> dict[str, Tensor]:
        return {"": targets[:, 1] == 1}

    def judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        """Of every search; NaN for the images in the gallery."""
        self._require(self.gallery)
        assert self.gallery is not None
        assert self.labels is not None
        check_features(features, width=self.gallery.shape[1])
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

    def loss(self, features: Features, targets: Tensor) -> PerExample:
        """Share of the searches for other classes that find the image before their best right item, softly counted.

        A search has no loss of its own: 0.
        """
        self._require(self.queries)
        assert self.queries is not None
        assert self.best is not None
        assert self.asked is not None
        check_features(features, width=self.queries.shape[1])
        gaps = F.normalize(features.to(self.queries.dtype), dim=1) @ self.queries.T - self.best
        other = self.asked != targets[:, :1]
        counted = torch.sigmoid(self.sharpness * gaps).masked_fill(~other, 0).sum(dim=1) / other.sum(dim=1).clamp_min(1)
        return torch.where(targets[:, 1] == 1, counted, 0)
