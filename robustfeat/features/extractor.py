"""The feature extractor, which turns images into features and on which all tasks are built."""

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
    """A backbone with its input normalisation, in eval mode.

    Args:
        network: the backbone with its head.
        card: the description of the model and of its origin.

    Attributes:
        feature_dim: the width of the features.
    """

    def __init__(self, network: Network, card: Card) -> None:
        super().__init__()
        self.network = network
        self.card = card
        self.feature_dim = network.feature_dim
        self.eval()

    def __repr__(self) -> str:
        """Return for example `FeatureExtractor('gacd-resnet18', resnet18, 512 features, 32x32, linf 8/255)`."""
        return f"{type(self).__name__}({self.card.summary(self._width())})"

    def _width(self) -> str:
        return f"{self.feature_dim} features"

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self.network.mean.device

    def sized(self, image_size: int | None) -> FeatureExtractor:
        """Return an extractor with the same weights for images of another size.

        The features at another size differ, and so does the digest: an index that was built with one size refuses the other.

        Args:
            image_size: pixels per side; None, or the extractor's own size, returns this extractor.

        Raises:
            ValueError: for a size below 1, and for a network that is built for one size, as vision transformers are.
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
        # Whose space it shares is known at the size of its training only.
        return FeatureExtractor(self.network, dataclasses.replace(self.card, architecture=other, compatible_with=None))

    def digest(self) -> str:
        """Return the sha256 of architecture and current weights; the card records the weights at loading time only."""
        architecture = self.card.architecture
        digest = hashlib.sha256(repr(architecture).encode())
        if architecture.framing is not None:  # features of photographs depend on it
            digest.update(repr(architecture.framing).encode())
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def digests(self) -> tuple[str, ...]:
        """Return its own digest, and that of the model in whose space its features are, if the card names one.

        `FeatureIndex.load` takes them: an index that was built with any of these models can be searched with this one.
        """
        known = self.card.compatible_with
        return (self.digest(),) if known is None else (self.digest(), known)

    def forward(self, images: Images) -> Features:
        """Compute the features of a batch, always differentiably.

        Args:
            images: (n, 3, h, w) in [0, 1].

        Returns:
            Features (n, d).

        Raises:
            ValueError: for images of another range.
        """
        return self.network.features(check_images(images).to(self.network.mean.dtype))

    def transform(self, images: ImageSource, *, batch_size: int | None = None, progress: bool = False) -> np.ndarray:
        """Compute features as an array, without gradient and in eval mode.

        Args:
            images: a tensor or array (n, 3, h, w) in [0, 1], a data set, or a sequence of paths or PIL images. Paths and PIL
                images are rotated by their EXIF orientation, composited on white where they are transparent, and made squares
                of the size that the backbone was trained with, as its architecture specifies.
            batch_size: images per batch; None selects a size that is fast on the device.
            progress: whether to show a progress bar.

        Returns:
            Features (n, d), float32.

        Raises:
            ValueError: for a batch size below 1 and for pixel values outside [0, 1].
            TypeError: for images of another type.
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
        """Compute features of one batch, float32 on the CPU; the caller checks the range and sets the extractor to eval mode."""
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
    """Read one image with `read_picture` and fit it to the architecture.

    Returns:
        A float tensor (3, side, side) in [0, 1].

    Raises:
        FileNotFoundError: if the file is missing.
        BrokenImageError: if the image cannot be read; the message names it.
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
