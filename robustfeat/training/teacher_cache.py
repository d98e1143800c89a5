"""The outputs of a teacher on images that do not change between epochs, computed once."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.backbones.network import Network
from robustfeat.data import ImageDataset
from robustfeat.numerics.types import Output
from robustfeat.runtime.progress import Progress

BATCH = 256


class TeacherCache:
    """A network's outputs by row of the data set: features (N, d) and logits (N, k), kept where the network is."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def __getitem__(self, rows: Tensor) -> Output:
        return Output(*(values[rows.to(values.device)] for values in self.output))

    @classmethod
    def of(
        cls, network: Network, data: ImageDataset, layout: torch.memory_format, *, quiet: bool = False
    ) -> TeacherCache:
        """All images in the order of the data set, in batches of a fixed size: a resumed run must find the same bits.

        Under autocast, where the caller is: then the outputs are those of the training steps.
        """
        parts = []
        with torch.no_grad(), Progress("teacher", len(data), quiet=quiet) as bar:
            for start in range(0, len(data), BATCH):
                batch = data.batch(torch.arange(start, min(start + BATCH, len(data))))
                parts.append(network(batch.images.to(network.mean.device, memory_format=layout)))
                bar.advance(len(batch))
        return cls(Output(*map(torch.cat, zip(*parts, strict=True))))
