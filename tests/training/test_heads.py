"""Heads for a network that was trained without one: what each kind is, and which is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cues import THREAT, cues, two_cues
from sklearn.linear_model import Ridge
from torch import Tensor

from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator
from robustfeat.testing import small_network
from robustfeat.training.heads import Heads, closest
from robustfeat.training.heldout import Accuracy


def heads(**changed: Any) -> Heads:
    options: dict[str, Any] = {
        "wanted": "best",
        "trained": False,
        "robust": True,
        "teacher": None,
        "in_teachers_space": False,
        "data": two_cues(2000, 0),
        "held_out": two_cues(100, 1),
        "threat": THREAT,
        "eval_steps": 5,
        "batch_size": 50,
        "seed": 0,
        "quiet": True,
    }
    return Heads(**(options | changed))


def test_held_out_images_choose_the_head(linear_extractor: Callable[[Tensor], FeatureExtractor]) -> None:
    """A clean head leans on a pattern that the attack turns round; clean accuracy alone would choose it."""
    network = linear_extractor(cues()).network
    found = heads().choose(network)
    assert list(found) == ["adversarial", "linear"]
    assert found["adversarial"].robust > 0.5 > 0.1 > found["linear"].robust
    assert found["linear"].clean == 1 > found["adversarial"].clean
    assert heads().measure(network) == found["adversarial"], "the network keeps the head that was chosen"
    assert list(heads(robust=False).choose(network)) == ["linear"], "an adversarial head is for robust networks"


def test_which_heads_are_compared() -> None:
    assert heads().kinds == ("linear", "adversarial")
    assert heads(robust=False).kinds == ("linear",)
    teacher = small_network(0)
    assert heads(teacher=teacher, in_teachers_space=True).kinds == ("teacher", "linear")
    assert heads(teacher=teacher).kinds == ("teacher", "linear", "adversarial")
    assert heads(trained=True).kinds == ("trained",)
    assert heads(trained=True, wanted="linear").kinds == ("linear",)
    assert heads(wanted="adversarial").meanwhile == "linear", "no minutes are spent at each measurement"
    assert heads(trained=True, wanted="adversarial").meanwhile == "trained"
    with pytest.raises(ValueError, match="head='teacher' needs a teacher with a head for the classes of the data"):
        heads(wanted="teacher")


@pytest.mark.parametrize(("robust", "first"), [(True, "teacher"), (False, "linear")])
def test_robust_accuracy_comes_first_where_the_network_is_robust(
    robust: bool, first: str, linear_extractor: Callable[[Tensor], FeatureExtractor], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([Accuracy(clean=0.9, robust=0.2), Accuracy(clean=0.95, robust=0.1)])  # teacher, linear
    monkeypatch.setattr(Heads, "measure", lambda self, network: next(measured))
    network = linear_extractor(cues()).network
    teacher = linear_extractor(cues()).network
    teacher.head.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    found = heads(robust=robust, teacher=teacher, in_teachers_space=True).choose(network)
    assert next(iter(found)) == first
    assert torch.equal(network.head.weight, teacher.head.weight) == (first == "teacher")


def test_the_teachers_head_through_the_closest_map(linear_extractor: Callable[[Tensor], FeatureExtractor]) -> None:
    """A student whose features are the teacher's, mixed and moved to another width, says what the teacher says."""
    random = generator(0)
    directions = torch.randn(192, 4, generator=random)
    mix = torch.randn(4, 6, generator=random)
    teacher, student = (linear_extractor(d).network for d in (directions, directions @ mix))
    teacher.head.weight.copy_(torch.randn(2, 4, generator=random))
    teacher.head.bias.copy_(torch.tensor([0.3, -0.3]))
    data = two_cues(500, 3)
    heads(teacher=teacher, data=data).put(student, "teacher")
    images = data.batch(torch.arange(50)).images
    theirs, mine = (network.classify(network.features(images)) for network in (teacher, student))
    assert (theirs - mine).square().mean() < 0.01 * theirs.var()


def test_the_closest_map_is_ridge_regression() -> None:
    random = generator(1)
    features, targets = (
        torch.randn(60, 5, generator=random) * torch.arange(1, 6) + 2,
        torch.randn(60, 3, generator=random),
    )
    found = closest(features, targets)
    variance = features.double().var(dim=0, correction=0).mean().item()
    reference = Ridge(alpha=0.01 * variance * 60).fit(features.double().numpy(), targets.double().numpy())
    assert found.weight.numpy() == pytest.approx(reference.coef_, abs=1e-6)
    assert found.bias.numpy() == pytest.approx(reference.intercept_, abs=1e-6)
