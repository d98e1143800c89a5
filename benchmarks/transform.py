"""`FeatureExtractor.transform` on 5,000 32x32 images against a bare timm forward loop with the best settings we know.

The bare loop: uint8 images in memory, inference mode, channels_last, the best of several batch sizes, output written in place.
"""

from __future__ import annotations

import numpy as np
import torch
from side_by_side import ratio

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.data import MemoryImages
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator

IMAGES = 5000


def bare(
    model: torch.nn.Module, images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, batch_size: int
) -> np.ndarray:
    out = np.empty((len(images), 512), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            x = (
                images[start : start + batch_size]
                .to(memory_format=torch.channels_last)
                .float()
                .div_(255)
                .sub_(mean)
                .div_(std)
            )
            out[start : start + batch_size] = model.forward_head(model.forward_features(x), pre_logits=True).numpy()
    return out


if __name__ == "__main__":
    network = new_network(Architecture("resnet18", "small")).eval().to(memory_format=torch.channels_last)
    extractor = FeatureExtractor(network, Card("untrained", network.architecture, 512))
    images = torch.randint(256, (IMAGES, 3, 32, 32), generator=generator(0), dtype=torch.uint8)
    data = MemoryImages("random", images, None)
    best = None
    for batch_size in (32, 64, 128, 256):
        a, b, r = ratio(
            lambda: extractor.transform(data),
            lambda size=batch_size: bare(network.model, images, network.mean, network.std, size),
            rounds=5,
            warmup=1,
        )
        print(f"bare loop with batches of {batch_size}: ours {a:.2f} s, bare {b:.2f} s, ratio {r:.3f}")
        best = (b, r) if best is None or b < best[0] else best
    ours, theirs = extractor.transform(data), bare(network.model, images, network.mean, network.std, 256)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    print(f"against the bare loop's best batch size: {best[1]:.3f} of its time")
