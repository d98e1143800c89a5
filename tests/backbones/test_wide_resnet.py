"""Wide residual networks: sizes as published, features where they should be, stages as timm gives them."""

from __future__ import annotations

import pytest
import timm
import torch

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.backbones.wide_resnet import WideResNet
from robustfeat.numerics.random import generator


@pytest.mark.parametrize(("name", "classes", "millions"), [("wrn_28_10", 10, 36.479194), ("wrn_34_10", 10, 46.160474)])
def test_sizes_are_the_published_ones(name: str, classes: int, millions: float) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=classes)
    assert sum(p.numel() for p in model.parameters()) == round(1e6 * millions)


def test_as_a_network() -> None:
    network = new_network(Architecture("wrn_16_2", "timm", 7, 32))
    images = torch.rand(2, 3, 32, 32, generator=generator(0))
    features, logits = network(images)
    assert features.shape == (2, 128)
    assert logits.shape == (2, 7)
    assert (features >= 0).all(), "the mean of a ReLU"
    again = new_network(Architecture("wrn_16_2", "timm", 7, 32))
    assert torch.equal(again(images).logits, logits)


def test_the_stages() -> None:
    model = new_network(Architecture("wrn_16_2", "timm", 7, 32)).model
    x = torch.rand(1, 3, 32, 32, generator=generator(1))
    last, maps = model.forward_intermediates(x, [0, 2])
    torch.testing.assert_close(last, model.forward_features(x))
    assert [tuple(m.shape) for m in maps] == [(1, 32, 32, 32), (1, 128, 8, 8)]
    (early,) = model.forward_intermediates(x, [0], stop_early=True, intermediates_only=True)
    assert torch.equal(early, maps[0])
    assert [info["num_chs"] for info in model.feature_info] == [32, 64, 128]


def test_a_depth_that_can_not_be() -> None:
    with pytest.raises(ValueError, match=r"6 n \+ 4, got 30"):
        WideResNet(30, 2)
