"""The teacher cache: outputs of a teacher on images that do not change between epochs, computed once."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.backbones.network import Network
from robustfeat.data import ImageDataset
from robustfeat.numerics.types import Output
from robustfeat.runtime.progress import Progress

BATCH = 256


class TeacherCache:
    """The outputs of a network by row of the data set, on the device of the network.

    Args:
        output: features (N, d) and logits (N, k) of all N images.
    """

    def __init__(self, output: Output) -> None:
        self.output = output

    def __getitem__(self, rows: Tensor) -> Output:
        return Output(*(values[rows.to(values.device)] for values in self.output))

    @classmethod
    def of(
        cls, network: Network, data: ImageDataset, layout: torch.memory_format, *, quiet: bool = False
    ) -> TeacherCache:
        """Compute the outputs for all images in the order of the data set.

        The batches have a fixed size, because a resumed run must obtain the same bits. If the caller uses autocast, it applies
        here too, and the outputs are those of the training steps.

        Args:
            network: the teacher.
            data: the training images.
            layout: the memory layout of the images.
            quiet: whether to hide the progress bar.
        """
        parts = []
        with torch.no_grad(), Progress("teacher", len(data), quiet=quiet) as bar:
            for start in range(0, len(data), BATCH):
                batch = data.batch(torch.arange(start, min(start + BATCH, len(data))))
                parts.append(network(batch.images.to(network.mean.device, memory_format=layout)))
                bar.advance(len(batch))
        return cls(Output(*map(torch.cat, zip(*parts, strict=True))))
