"""Intermediate maps as features: against hooks on the modules and plain loops, and everywhere an extractor goes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import robustfeat.tasks
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.data import MemoryImages
from robustfeat.features.card import Card
from robustfeat.features.extraction import extract
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.patches import PatchExtractor
from robustfeat.numerics.random import generator

# Name and image size -> the default layers and the grid.
NETWORKS = {
    ("cnn_tiny", 8): (("body.2", "body.5"), (32 + 64, 8, 8)),
    ("cnn_small", 16): (("body.5", "body.8"), (64 + 128, 8, 8)),
    ("resnet_tiny", 16): (("layer2", "layer3"), (32 + 64, 8, 8)),
    ("resnet18", 32): (("layer2", "layer3"), (128 + 256, 4, 4)),
    ("mobilenetv2_100", 64): (("blocks.2", "blocks.4"), (32 + 96, 8, 8)),
    ("vit_tiny_patch16_224", 32): (("blocks.9", "blocks.10"), (192 + 192, 2, 2)),
}


def untrained(name: str, side: int) -> FeatureExtractor:
    network = new_network(Architecture(name, classes=4, image_size=side))
    return FeatureExtractor(network, Card("untrained", network.architecture, network.feature_dim))


def some_images(n: int = 3, side: int = 8) -> Tensor:
    return torch.randint(256, (n, 3, side, side), generator=generator(0)).float() / 255


def hooked(extractor: FeatureExtractor, layers: tuple[str, ...], images: Tensor) -> list[np.ndarray]:
    """What the modules return, in float64."""
    found: dict[str, np.ndarray] = {}
    model = extractor.network.model
    for name in layers:
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: found.update({name: output.detach().double().numpy()})
        )
    with torch.no_grad():
        model((images - 0.5) / 0.25)
    return [found[name] for name in layers]


def local_mean(maps: np.ndarray) -> np.ndarray:
    """Over the neighbours that exist, one place after the other."""
    out = np.empty_like(maps)
    for i in range(maps.shape[2]):
        for j in range(maps.shape[3]):
            out[:, :, i, j] = maps[:, :, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].mean(axis=(2, 3))
    return out


def bilinear(size: int, to: int) -> np.ndarray:
    """(to, size): weights of the two nearest of `size` pixels for each of `to` pixels, by their centres."""
    weights = np.zeros((to, size))
    for i in range(to):
        place = min(max((i + 0.5) * size / to - 0.5, 0), size - 1)
        low = min(int(place), size - 1)
        weights[i, low] += 1 - (place - low)
        weights[i, min(low + 1, size - 1)] += place - low
    return weights


@pytest.mark.parametrize(("name", "side"), NETWORKS)
def test_as_hooks_and_loops(name: str, side: int) -> None:
    layers, grid = NETWORKS[name, side]
    plain, images = untrained(name, side), some_images(2, side)
    patches = PatchExtractor(plain)
    assert (patches.layers, patches.grid, patches.feature_dim) == (layers, grid, np.prod(grid))
    features = patches(images)
    assert features.dtype == torch.float32
    if name.startswith("vit"):  # its blocks return tokens
        return
    expected = [local_mean(m) for m in hooked(plain, layers, images)]
    scaled = [np.einsum("ij,ncjk,lk->ncil", w := bilinear(m.shape[2], grid[1]), m, w) for m in expected]
    found = features.detach().view(2, *grid).double().numpy()
    np.testing.assert_allclose(found, np.concatenate(scaled, axis=1), rtol=1e-4, atol=1e-4)


def test_one_layer_and_layers_in_any_order(extractor: FeatureExtractor) -> None:
    images = some_images()
    alone = PatchExtractor(extractor, ["body.8"])
    assert alone.grid == (256, 2, 2)
    np.testing.assert_allclose(
        alone(images).detach().view(3, 256, 2, 2).mean(dim=(2, 3)).numpy(),
        extractor(images).detach().numpy(),
        atol=1e-5,
    )  # every mean over 3x3 is the mean over the 2x2 there are
    one, other = (PatchExtractor(extractor, layers) for layers in (["body.8", "body.2"], ("body.2", "body.8")))
    assert one.grid == (32 + 256, 8, 8)
    assert torch.equal(one(images), other(images))
    assert one.digest() == other.digest()


@pytest.mark.parametrize(("name", "side"), NETWORKS)
def test_the_gradient_reaches_the_pixels(name: str, side: int) -> None:
    images = some_images(2, side).requires_grad_()
    features = PatchExtractor(untrained(name, side))(images)
    (gradient,) = torch.autograd.grad((features * torch.randn(features.shape, generator=generator(1))).sum(), images)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().sum(dim=1) > 0).float().mean() > 0.8, "a max-pool may leave out a few"


def test_the_gradient_is_the_slope(extractor: FeatureExtractor) -> None:
    patches, images = PatchExtractor(extractor), some_images(1).clamp(0.1, 0.9)
    direction = torch.randn(images.shape, generator=generator(1))
    weights = torch.randn(patches.feature_dim, generator=generator(2)) / 10
    moved = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((patches(moved) @ weights).sum(), moved)
    with torch.no_grad():
        ends = [(patches(images + step * direction).double() @ weights.double()).sum() for step in (1e-3, -1e-3)]
    assert float((gradient * direction).sum()) == pytest.approx(float(ends[0] - ends[1]) / 2e-3, rel=0.02)


def test_transform_of_every_source(extractor: FeatureExtractor, tmp_path: Path) -> None:
    patches, images = PatchExtractor(extractor), some_images(5)
    pixels = images.mul(255).round().byte()
    data = MemoryImages("five", pixels, torch.arange(5))
    pictures = [Image.fromarray(p) for p in pixels.permute(0, 2, 3, 1).numpy()]
    expected = patches(images).detach().numpy()
    for source in (images, images.double().numpy(), data, pictures):
        found = patches.transform(source, batch_size=2)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert patches.transform(images[:0]).shape == (0, patches.feature_dim)
    kept = load_file(extract(patches, data, tmp_path / "five.safetensors", progress=False))
    np.testing.assert_allclose(kept["features"].numpy(), expected, atol=1e-5)


def test_the_digest_is_of_weights_and_layers(extractor: FeatureExtractor) -> None:
    default, other = PatchExtractor(extractor), PatchExtractor(extractor, ["body.5"])
    assert len({extractor.digest(), default.digest(), other.digest()}) == 3
    assert default.digest() == PatchExtractor(extractor, ["body.2", "body.5"]).digest()
    before = default.digest()
    with torch.no_grad():
        next(extractor.network.parameters()).add_(1)
    assert default.digest() != before, "the network is shared with the extractor"


def test_it_is_an_extractor(extractor: FeatureExtractor) -> None:
    patches = PatchExtractor(extractor)
    assert isinstance(patches, FeatureExtractor)
    assert not any(module.training for module in patches.modules())
    assert patches.to("cpu").device == torch.device("cpu")
    assert patches.card.name == "untrained[body.2,body.5]"
    assert patches.card.feature_dim == patches.feature_dim
    assert extractor.card.feature_dim == extractor.feature_dim == 256
    twin = copy.deepcopy(patches)
    images = some_images()
    assert torch.equal(twin(images), patches(images))
    with torch.no_grad():
        next(twin.network.parameters()).add_(1)
    assert not torch.equal(twin(images), patches(images))


def test_evaluation_with_any_task(extractor: FeatureExtractor) -> None:
    data = MemoryImages("eight", some_images(40).mul(255).round().byte(), torch.arange(40) % 2)
    report = robustfeat.evaluation.evaluate(
        PatchExtractor(extractor), ["anomaly:patchcore", "retrieval"], data.head(24), data.take(range(24, 40)),
        progress=False,
    )  # fmt: skip
    assert report.model == "untrained[body.2,body.5]"
    assert {row.task for row in report.rows} == {"anomaly:patchcore", "retrieval"}


def test_what_can_not_be_is_named(
    extractor: FeatureExtractor, linear_extractor: Callable[[Tensor], FeatureExtractor]
) -> None:
    with pytest.raises(ValueError, match=r"cnn_tiny has no layers \['layer2'\]; it has body.2, body.5, body.8"):
        PatchExtractor(extractor, ["body.2", "layer2"])
    with pytest.raises(ValueError, match="at least one layer"):
        PatchExtractor(extractor, [])
    with pytest.raises(ValueError, match="linear gives no intermediate maps"):
        PatchExtractor(linear_extractor(torch.ones(192, 2)))
    patches = PatchExtractor(extractor)
    for use in (patches, patches.transform):
        with pytest.raises(ValueError, match=r"16x16 pixels .*\(96, 16, 16\) instead of \(96, 8, 8\).* images of 8x8"):
            use(some_images(side=16))
        with pytest.raises(ValueError, match=r"in \[0, 1\]"):
            use(255 * some_images())
