"""Features row by row, as a worker of torch computes them: in a module that a spawned process can import."""

from __future__ import annotations

import torch
from torch.utils.data import Dataset

from robustfeat.data import ImageDataset
from robustfeat.features.extractor import FeatureExtractor


class FeatureRows(Dataset[torch.Tensor]):
    """One row at a time, decoded and extracted in the worker."""

    def __init__(self, extractor: FeatureExtractor, data: ImageDataset) -> None:
        self.extractor, self.data = extractor, data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.extractor.transform_batch(self.data.batch(torch.tensor([row])).images)[0]
