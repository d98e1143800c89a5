from __future__ import annotations

import pytest
import timm
import torch

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.numerics.random import generator


@pytest.mark.parametrize(
    ("name", "stem", "size", "dim"),
    [
        ("resnet18", "small", 32, 512),
        ("resnet18", "cifar", 32, 512),
        ("resnet18", "timm", 64, 512),
        ("mobilenetv2_100", "small", 32, 1280),
        ("vit_tiny_patch16_224", "small", 32, 192),
        ("vit_tiny_patch16_224", "timm", 32, 192),
        ("efficientnet_b0", "small", 32, 1280),
        ("cnn_tiny", "timm", 8, 256),
        ("cnn_small", "timm", 28, 256),
        ("resnet_tiny", "timm", 8, 128),
    ],
)
def test_any_timm_model_gives_features_and_logits(name: str, stem: str, size: int, dim: int) -> None:
    network = new_network(Architecture(name, stem, classes=7, image_size=size)).eval()
    images = torch.rand(2, 3, size, size, generator=generator(0)).requires_grad_()
    features, logits = network(images)
    assert features.shape == (2, dim)
    assert logits.shape == (2, 7)
    torch.testing.assert_close(network.classify(features), logits)
    (gradient,) = torch.autograd.grad(logits.sum(), images)
    assert gradient.abs().sum() > 0


def test_stems() -> None:
    """Resolution before the first stage: 32 without pool, 16 with it, 8 as published."""
    for stem, expected in (("cifar", 32), ("small", 16), ("timm", 8)):
        network = new_network(Architecture("resnet18", stem)).eval()
        shapes: list[torch.Size] = []
        network.model.layer1.register_forward_pre_hook(lambda module, inputs, seen=shapes: seen.append(inputs[0].shape))
        network(torch.rand(1, 3, 32, 32, generator=generator(0)))
        assert shapes[0][-1] == expected, stem


def test_the_normalisation_is_inside_and_the_weights_are_timm_s() -> None:
    architecture = Architecture("resnet18", "timm", 10, 64, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    network = new_network(architecture).eval()
    with torch.random.fork_rng(devices=[]):
        plain = timm.create_model("resnet18", num_classes=10).eval()
    plain.load_state_dict(network.model.state_dict())
    images = torch.rand(2, 3, 64, 64, generator=generator(0))
    mean, std = torch.tensor(architecture.mean).view(3, 1, 1), torch.tensor(architecture.std).view(3, 1, 1)
    torch.testing.assert_close(network(images).logits, plain((images - mean) / std))


def test_first_weights_depend_on_the_seed_alone() -> None:
    one, same, other = (new_network(Architecture("cnn_tiny", image_size=8), seed) for seed in (3, 3, 4))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_what_can_not_be_built_says_so() -> None:
    with pytest.raises(KeyError, match="did you mean 'resnet18'"):
        new_network(Architecture("resnet81"))
    with pytest.raises(ValueError, match="8x8"):
        new_network(Architecture("vgg11", "timm", image_size=8))
