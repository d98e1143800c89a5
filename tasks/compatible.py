"""Retrieval in the index of another model: its features are the gallery, the extractor's own are the queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from robustfeat.data import ImageDataset
from robustfeat.features import hub
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.types import Features
from robustfeat.tasks import TASKS
from robustfeat.tasks.retrieval import Retrieval


@TASKS.register("compatible")
class Compatible(Retrieval):
    """Retrieval with the original model's training features as the gallery, and the extractor's test features as queries.

    It measures whether a model that was hardened can be searched in indexes that were built before. The original with itself as
    `source` has its own numbers, clean and attacked, to compare with. Metrics and attacks are those of `retrieval`.

    Args:
        source: the original: a name or folder, as for `robustfeat.load`. None takes the extractor itself.
        index: a FAISS factory string, as for `retrieval`.
        attacked: the metrics that attacks aim at, as for `retrieval`.
        deep: whether the whole gallery is ranked for every query, as for `retrieval`.
    """

    def __init__(
        self,
        source: str | None = None,
        index: str = "Flat",
        attacked: Sequence[str] = ("recall@1", "map@r"),
        deep: bool | None = None,
    ) -> None:
        super().__init__(index, attacked, deep)
        self.source = source

    @property
    def argument(self) -> str:
        return self.source or ""

    @classmethod
    def from_text(cls, argument: str) -> Self:
        return cls(argument)

    def options(self) -> dict[str, str]:
        """Return the options with the digest of the original, on which the numbers depend as well."""
        if self.source is None:
            return super().options()
        return super().options() | {"original": hub.load(self.source).digest()}

    def _fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features, targets: Tensor) -> None:
        if self.source is None:
            return self._fit(features, targets)
        size = extractor.card.architecture.image_size
        original = hub.load(self.source, device=extractor.device, image_size=size)
        if original.digest() not in extractor.digests():
            raise ValueError(
                f"{extractor.card.name} was not kept in the feature space of {self.source}: its card does not say that it is "
                "compatible with it; give the model that it was hardened from"
            )
        self._fit(torch.from_numpy(original.transform(data)).to(features), targets)
