"""The extractor: differentiable forward, transform of anything that is an image, and clear words for what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.data import MemoryImages
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor, read_image
from robustfeat.numerics.random import generator

Images = torch.Tensor


@pytest.fixture
def grey_levels() -> torch.Tensor:
    """Seven random images, as uint8 (n, 3, 8, 8)."""
    return torch.randint(0, 256, (7, 3, 8, 8), generator=generator(0), dtype=torch.uint8)


@pytest.fixture
def images(grey_levels: torch.Tensor) -> Images:
    return grey_levels.float() / 255


def close(one: np.ndarray, two: np.ndarray) -> bool:
    return one.shape == two.shape and bool(np.allclose(one, two, atol=1e-5))


def forward(extractor: FeatureExtractor, images: Images) -> np.ndarray:
    with torch.no_grad():
        return extractor(images).numpy()


def test_forward_is_differentiable(extractor: FeatureExtractor, images: Images) -> None:
    images.requires_grad_()
    features = extractor(images)
    assert features.shape == (7, extractor.feature_dim) == (7, 256)
    assert features.dtype == torch.float32
    (gradient,) = torch.autograd.grad(features.pow(2).sum(), images)
    assert torch.isfinite(gradient).all()
    assert (gradient.flatten(1).abs().sum(dim=1) > 0).all()


def test_the_network_normalises_by_itself(extractor: FeatureExtractor, images: Images) -> None:
    network = extractor.network
    by_hand = network.model.forward_features((images - 0.5) / 0.25)
    assert close(by_hand.mean(dim=(2, 3)).detach().numpy(), forward(extractor, images))


def test_one_channel_is_grey(extractor: FeatureExtractor, images: Images) -> None:
    grey = images[:, :1]
    assert close(forward(extractor, grey), forward(extractor, grey.repeat(1, 3, 1, 1)))


REFUSED = {
    "nan": (lambda x: x.index_fill(0, torch.tensor([3]), torch.nan), r"finite and in \[0, 1\], got values from nan"),
    "inf": (lambda x: x.index_fill(0, torch.tensor([3]), torch.inf), r"finite and in \[0, 1\], got values from .* inf"),
    "0 to 255": (lambda x: x * 255, r"in \[0, 1\], got values from 0 to 255; divide by 255"),
    "normalised": (lambda x: (x - 0.5) / 0.25, r"in \[0, 1\], got values from -2 to 2; .*undo the normalisation"),
    "uint8": (lambda x: (x * 255).byte(), r"must be float in \[0, 1\], got torch.uint8; use images.float\(\) / 255"),
    "int64": (lambda x: x.long(), "must be float in .*, got torch.int64"),
    "bool": (lambda x: x > 0.5, "must be float in .*, got torch.bool"),
    "channels last": (lambda x: x.permute(0, 2, 3, 1), r"\(7, 8, 8, 3\); the channels come last, use images.permute"),
    "no batch": (lambda x: x[0], r"4 dimensions \(n, c, h, w\), got shape \(3, 8, 8\)"),
    "no batch, channels last": (lambda x: x[0].permute(1, 2, 0), r"4 dimensions .* got shape \(8, 8, 3\)"),
    "flat": (lambda x: x.flatten(1), r"4 dimensions .* got shape \(7, 192\)"),
    "video": (lambda x: x[None], r"4 dimensions .* got shape \(1, 7, 3, 8, 8\)"),
    "two channels": (lambda x: x[:, :2], r"must have 3 channels \(or 1\), got shape \(7, 2, 8, 8\)"),
    "four channels": (lambda x: x[:, [0, 1, 2, 0]], r"must have 3 channels \(or 1\), got shape \(7, 4, 8, 8\)"),
}  # fmt: skip


@pytest.mark.usefixtures("_as_installed")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_images_is_named(extractor: FeatureExtractor, images: Images, name: str) -> None:
    images[0, 0, 0, 0], images[0, 0, 0, 1] = 0, 1
    change, message = REFUSED[name]
    wrong = change(images)
    for call in (extractor, extractor.transform, lambda x: extractor.transform(x.numpy())):
        with pytest.raises(ValueError, match=message):
            call(wrong)


@pytest.mark.usefixtures("_as_installed")
@pytest.mark.parametrize("wrong", [None, 7, "image.png", iter([]), {}])
def test_what_has_no_images_is_named(extractor: FeatureExtractor, wrong: object) -> None:
    with pytest.raises(TypeError, match=r"must be a tensor or array .* got"):
        extractor.transform(wrong)  # type: ignore[arg-type]


def test_an_array_that_is_forward_refused_must_be_a_tensor(extractor: FeatureExtractor, images: Images) -> None:
    with pytest.raises(TypeError):
        extractor(images.numpy())


def test_transform_equals_forward(extractor: FeatureExtractor, grey_levels: torch.Tensor, images: Images) -> None:
    expected = forward(extractor, images)
    arrays = grey_levels.permute(0, 2, 3, 1).numpy()
    data = MemoryImages("seven", grey_levels, None)
    sources = [
        images, images.numpy(), images.double().numpy(), images.double(), data, [Image.fromarray(a) for a in arrays],
        images.contiguous(memory_format=torch.channels_last), tuple(Image.fromarray(a) for a in arrays),
    ]  # fmt: skip
    for source in sources:
        found = extractor.transform(source)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float32
        assert close(found, expected)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_the_batch_size_changes_nothing(extractor: FeatureExtractor, images: Images, batch_size: int) -> None:
    assert close(extractor.transform(images, batch_size=batch_size), forward(extractor, images))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_needs_images(extractor: FeatureExtractor, images: Images, batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size must be at least 1, got {batch_size}"):
        extractor.transform(images, batch_size=batch_size)


def test_paths(extractor: FeatureExtractor, grey_levels: torch.Tensor, images: Images, tmp_path: Path) -> None:
    paths: list[Path] = []
    for i, array in enumerate(grey_levels.permute(0, 2, 3, 1).numpy()):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(array).save(paths[-1])
    expected = forward(extractor, images)
    assert close(extractor.transform(paths, batch_size=3), expected)
    assert close(extractor.transform([str(path) for path in paths]), expected)
    mixed = [paths[0], str(paths[1]), Image.open(paths[2])]
    assert close(extractor.transform(mixed), expected[:3])


def test_files_are_scaled_and_cut(extractor: FeatureExtractor, images: Images, tmp_path: Path) -> None:
    """Twice as large by repeating pixels, with a margin left and right that must not be seen."""
    red = np.full((16, 40, 3), (255, 0, 0), dtype=np.uint8)
    red[:, 12:28] = (0, 0, 255)
    Image.fromarray(red).save(tmp_path / "wide.png")
    shape = extractor.card.architecture
    assert read_image(tmp_path / "wide.png", shape).shape == (3, 8, 8)
    blue = torch.zeros(1, 3, 8, 8)
    blue[:, 2] = 1
    middle = read_image(Image.fromarray(red), shape)[:, :, 2:6]  # bicubic rings at the edges of the blue
    assert torch.allclose(middle, blue[0, :, :, 2:6], atol=0.01)
    Image.fromarray(np.full((30, 20, 3), (0, 0, 255), dtype=np.uint8)).save(tmp_path / "tall.png")
    assert close(extractor.transform([tmp_path / "tall.png"]), forward(extractor, blue))


def test_files_that_are_no_images_are_named(extractor: FeatureExtractor, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:100])
    (tmp_path / "page.png").write_text("<html>not found</html>")
    (tmp_path / "empty.png").touch()
    for name in ("cut.png", "page.png", "empty.png"):
        with pytest.raises(ValueError, match=f"{name}'.* is not an image that can be read"):
            extractor.transform([tmp_path / name])
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        extractor.transform([tmp_path / "none.png"])


def test_nothing_gives_no_rows(extractor: FeatureExtractor) -> None:
    empty = MemoryImages("empty", torch.empty(0, 3, 8, 8, dtype=torch.uint8), None)
    for nothing in (torch.empty(0, 3, 8, 8), np.empty((0, 3, 8, 8), dtype=np.float32), [], (), empty):
        found = extractor.transform(nothing)
        assert found.shape == (0, 256)
        assert found.dtype == np.float32


def test_modes_and_inputs_stay_as_they_were(extractor: FeatureExtractor, images: Images) -> None:
    assert not any(module.training for module in extractor.modules())
    expected, before = forward(extractor, images), images.clone()
    extractor.train()
    frozen = next(module for module in extractor.modules() if isinstance(module, nn.BatchNorm2d))
    frozen.eval()
    modes = {module: module.training for module in extractor.modules()}
    buffers = [buffer.clone() for buffer in extractor.buffers()]
    assert close(extractor.transform(images), expected)  # with the statistics learnt, not those of the batch
    with pytest.raises(ValueError, match="finite"):
        extractor.transform(images * torch.nan)
    assert {module: module.training for module in extractor.modules()} == modes
    assert all(torch.equal(one, two) for one, two in zip(buffers, extractor.buffers(), strict=True))
    assert torch.equal(images, before)


def test_gradients_work_after_transform(extractor: FeatureExtractor, images: Images) -> None:
    extractor.transform(images)
    images.requires_grad_()
    extractor(images).sum().backward()
    assert images.grad is not None


def test_progress_is_quiet_unless_asked(
    extractor: FeatureExtractor, images: Images, capsys: pytest.CaptureFixture[str]
) -> None:
    extractor.transform(images, batch_size=2)
    assert capsys.readouterr() == ("", "")


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = (np.arange(64, dtype=np.uint16) * 1023).reshape(8, 8)
    pixels = read_image(Image.fromarray(ramp), Architecture("cnn_tiny", image_size=8))
    np.testing.assert_allclose(pixels[0].numpy(), ramp / 65535, atol=0.003)


def test_the_digest_knows_the_architecture() -> None:
    """Equal weights behind another stem give other features."""
    made = []
    for stem in ("small", "cifar"):
        network = new_network(Architecture("resnet10t", stem, 4, 32))  # type: ignore[arg-type]
        made.append(FeatureExtractor(network, Card("m", network.architecture, network.feature_dim)))
    made[1].network.model.load_state_dict(made[0].network.model.state_dict())
    assert made[0].digest() != made[1].digest()
