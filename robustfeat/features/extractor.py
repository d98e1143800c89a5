"""Images in, features out: the thing that tasks stand on."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.modes import evaluating
from robustfeat.backbones.network import Network
from robustfeat.data import ImageDataset, check_images, fit_square, read_picture
from robustfeat.features.card import Card
from robustfeat.numerics.types import Features, Images
from robustfeat.runtime.errors import BrokenImageError
from robustfeat.runtime.progress import Progress

BATCH_SIZE = {"cpu": 64}  # small enough for the caches; measured in benchmarks/transform.py
ImageSource = Tensor | np.ndarray | ImageDataset | Sequence[str | os.PathLike[str] | Image.Image]


class FeatureExtractor(nn.Module):
    """A backbone with its normalisation, in eval mode.

    card: where it comes from.  feature_dim: width of the features.  network: the module behind it, with its head.
    """

    def __init__(self, network: Network, card: Card) -> None:
        super().__init__()
        self.network = network
        self.card = card
        self.feature_dim = network.feature_dim
        self.eval()

    def __repr__(self) -> str:
        """`FeatureExtractor('gacd-resnet18', resnet18, 512 features, 32x32, linf 8/255)`; the threat, where it withstands one."""
        return f"{type(self).__name__}({self.card.summary(self._width())})"

    def _width(self) -> str:
        return f"{self.feature_dim} features"

    @property
    def device(self) -> torch.device:
        return self.network.mean.device

    def sized(self, image_size: int | None) -> FeatureExtractor:
        """The same weights for images of so many pixels per side; None, or its own size, is this extractor.

        Features of another size are other features, so the digest is another one: an index of these refuses those.
        Raises ValueError for a size below 1 and for a network that is made for one size, as vision transformers are.
        """
        architecture = self.card.architecture
        if image_size is None or image_size == architecture.image_size:
            return self
        from robustfeat.backbones import arguments  # with timm, which features can do without

        if image_size < 1:
            raise ValueError(f"image_size must be at least 1 pixel per side, got {image_size}")
        other = dataclasses.replace(architecture, image_size=image_size)
        if arguments(other) != arguments(architecture):
            raise ValueError(
                f"image_size {image_size}: {architecture.name} takes images of {architecture.image_size} pixels per side only"
            )
        return FeatureExtractor(self.network, dataclasses.replace(self.card, architecture=other))

    def digest(self) -> str:
        """sha256 of architecture and weights as they are now; the card knows only what they were when loaded."""
        architecture = self.card.architecture
        digest = hashlib.sha256(repr(architecture).encode())
        if architecture.framing is not None:  # features of photographs depend on it
            digest.update(repr(architecture.framing).encode())
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def forward(self, images: Images) -> Features:
        """Features (n, d) of images (n, 3, h, w) in [0, 1], always differentiable. Raises ValueError for other ranges."""
        return self.network.features(check_images(images).to(self.network.mean.dtype))

    def transform(self, images: ImageSource, *, batch_size: int | None = None, progress: bool = False) -> np.ndarray:
        """Features as a float32 array (n, d), without gradient and in eval mode.

        images: a tensor or array (n, 3, h, w) in [0, 1], a data set, or a sequence of paths or PIL images, which are turned
            as their EXIF orientation says, laid on white where they are transparent, and made squares of the size the
            backbone was trained with, as its architecture says.
        batch_size: images at a time; None takes what is fast on the device.
        """
        if batch_size is None:
            batch_size = BATCH_SIZE.get(self.device.type, 512)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        parts = []
        with evaluating(self), Progress("features", _length(images), quiet=not progress) as bar:
            for batch in self._batches(images, batch_size):
                parts.append(self.transform_batch(batch).numpy())
                bar.advance(len(batch))
        if not parts:
            return np.empty((0, self.feature_dim), dtype=np.float32)
        return np.concatenate(parts)

    @torch.inference_mode()
    def transform_batch(self, images: Images) -> Features:
        """Features of one batch, float32 on the CPU; the caller has checked the range and put the extractor in eval mode."""
        moved = images.to(self.device, self.network.mean.dtype, memory_format=torch.channels_last)
        return self.network.features(moved).float().cpu()

    def _batches(self, images: ImageSource, batch_size: int) -> Iterator[Tensor]:
        if isinstance(images, ImageDataset):
            for batch in images.batches(batch_size):
                yield batch.images
        elif isinstance(images, Tensor | np.ndarray):
            # Checked whole: an array of shape (h, w, 3) must not pass as h images.
            tensor = check_images(torch.as_tensor(images))
            yield from tensor.split(batch_size)
        elif isinstance(images, Sequence) and not isinstance(images, str):
            for start in range(0, len(images), batch_size):
                chunk = images[start : start + batch_size]
                yield torch.stack([read_image(item, self.card.architecture) for item in chunk])
        else:
            raise TypeError(
                f"images must be a tensor or array (n, 3, h, w), a data set or a list of paths, got {type(images).__name__}"
            )


def read_image(item: str | os.PathLike[str] | Image.Image, architecture: Architecture) -> Tensor:
    """One image as float (3, side, side) in [0, 1], as `read_picture` sees it and the architecture wants it.

    Raises FileNotFoundError for a missing file, BrokenImageError, which names it, for one that cannot be read.
    """
    try:
        seen = read_picture(item)
    except BrokenImageError as error:
        raise BrokenImageError(f"{item!r} is not an image that can be read: {error}") from error
    pixels = np.asarray(fit_square(seen, architecture.image_size, architecture.framing))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div_(255)


def _length(images: ImageSource) -> int | None:
    try:
        return len(images)
    except TypeError:
        return None
