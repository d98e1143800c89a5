"""A network from pixels to features and logits: normalisation, backbone and head as one module."""

from __future__ import annotations

from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.modes import evaluating
from robustfeat.numerics.losses import wide
from robustfeat.numerics.types import Features, Images, Logits, Output

BORROWED = Lock()  # the global generator, which the threads of a process share


def new_network(architecture: Architecture, seed: int = 0, *, pretrained_tag: str | None = None) -> Network:
    """Return a network whose initial weights depend on `seed` alone; torch's global generator is left as it was."""
    with BORROWED, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Network(architecture, pretrained_tag=pretrained_tag)


class Network(nn.Module):
    """A timm model with its normalisation in front.

    The initial weights come from torch's global generator, as in timm; `new_network` takes a seed instead.

    Args:
        architecture: what to build.
        pretrained_tag: a timm weight tag, as in `build`.

    Attributes:
        model: the timm model, with timm's own parameter names, so that timm reads and writes its state dict.
        feature_dim: width of the pooled penultimate features, which are the input of the head.
        compiled: whether the backbone runs through torch.compile.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture, *, pretrained_tag: str | None = None) -> None:
        from robustfeat.backbones import build  # with timm, which an annotation can do without

        super().__init__()
        self.architecture = architecture
        self.compiled = False
        self.model: Any = build(architecture, pretrained_tag=pretrained_tag)
        # Not persistent: the card has them, and the weights stay plain timm weights.
        self.register_buffer("mean", torch.tensor(architecture.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(architecture.std).view(1, 3, 1, 1), persistent=False)
        self.feature_dim = self._check()

    @property
    def head(self) -> nn.Linear:
        """The linear classifier on the features."""
        return self.model.get_classifier()

    def _check(self) -> int:
        """Return the feature width; raise ValueError for a model whose logits are not a linear map of its pooled features."""
        name, side = self.architecture.name, self.architecture.image_size
        if not isinstance(self.head, nn.Linear):
            raise ValueError(f"{name} has no single linear classifier; choose another architecture")
        with torch.no_grad(), evaluating(self):
            images = torch.full((1, 3, side, side), 0.5)
            try:
                features, logits = self(images)
            except (RuntimeError, AssertionError) as error:
                raise ValueError(
                    f"{name} cannot take {side}x{side} images ({error}); try another stem or size"
                ) from error
            direct = self.model((images - self.mean) / self.std)
        if features.ndim != 2 or not torch.allclose(logits, direct, atol=1e-4):
            raise ValueError(
                f"the logits of {name} are not its head applied to pooled features; choose another architecture"
            )
        return features.shape[1]

    def features(self, images: Images) -> Features:
        """Return the differentiable features (n, d) of images (n, 3, h, w) in [0, 1], in float32 (float64 of a float64 model)."""
        normalised = (images - self.mean).div_(self.std)
        return wide(self.model.forward_head(self.model.forward_features(normalised), pre_logits=True))

    def classify(self, features: Features) -> Logits:
        """Return the logits (n, k) of features (n, d), in float32 (float64 of a float64 model)."""
        return wide(self.head(features))

    def forward(self, images: Images) -> Output:
        features = self.features(images)
        return Output(features, self.classify(features))

    def compile_backbone(self, mode: str = "reduce-overhead") -> None:
        """Run the backbone through torch.compile from now on, in training and under attack.

        It is compiled once for each shape of a batch. Parameter names do not change. The network must not be deep-copied
        afterwards.

        Args:
            mode: mode of torch.compile. The default records the kernels of a GPU and replays them, for networks so small that
                launching the kernels takes longer than running them. A replay overwrites what the previous one returned,
                including gradients.
        """
        self.compiled = True
        self.model.forward_features = torch.compile(self.model.forward_features, mode=mode, dynamic=False)
