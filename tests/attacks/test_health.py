"""Six ways to look robust that are all flagged, and honest models that never are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustfeat.attacks import APGD, PGD, Attack, Classifier, Goal, Threat
from robustfeat.attacks.effort import Effort
from robustfeat.attacks.flag import Flag
from robustfeat.attacks.health import PRICE, Outcome, affordable, examine, wrong_gradient
from robustfeat.backbones.network import Network
from robustfeat.data import dataset
from robustfeat.numerics import losses
from robustfeat.numerics.random import generator
from robustfeat.testing import small_network
from robustfeat.training.heads import fit_head

THREAT = Threat("linf", 0.1)
N = 16


@pytest.fixture(scope="module")
def network() -> Network:
    """Random features with a fitted head: no defence at all, and none is pretended."""
    found = small_network(0, "cnn_small", classes=10)
    fit_head(found, dataset("digits", "train[:400]"))
    return found.eval().requires_grad_(False)


class ZeroGradient(torch.autograd.Function):
    """Passes images and stops gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return torch.zeros_like(gradients[0])


class Defended(nn.Module):
    """A network behind a defence, as images -> logits."""

    def __init__(self, network: Network, defence: Callable[[Network, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.defence = network, defence

    def forward(self, x: Tensor) -> Tensor:
        return self.defence(self.network, x)


def quantise(network: Network, x: Tensor) -> Tensor:
    return network((x * 4).round() / 4 + 0 * x).logits


def purify(network: Network, x: Tensor) -> Tensor:
    """Moves images towards confident ones before it looks at them."""
    for _ in range(2):
        with torch.enable_grad():
            inner = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(network(inner).logits.logsumexp(1).sum(), inner)
        x = (x + 0.02 * gradient.sign()).clamp(0, 1)
    return network(x).logits


MASKS: dict[str, tuple[Callable[[Network, Tensor], Tensor], str]] = {
    "zero gradient layer": (lambda network, x: network(ZeroGradient.apply(x)).logits, "zero gradients"),
    "quantiser": (quantise, "zero gradients"),
    "softmax output": (lambda network, x: network(x).logits.softmax(1), "output range"),
    "temperature": (lambda network, x: network(x).logits * 1e4, "zero gradients"),
    "dropout": (
        lambda network, x: network.classify(F.dropout(network.features(x), 0.5, True)),
        "random forward passes",
    ),
    "inner loop": (purify, "inner optimisation"),
}


def flags(model: nn.Module, attack: Attack, seed: int = 0) -> list[Flag]:
    batch = next(dataset("digits", f"test[{seed * N}:{(seed + 1) * N}]").batches(N))
    images, labels = batch.images, batch.labels
    assert labels is not None
    by_name = {
        "margin": lambda z, rows: losses.margin(z, labels[rows]),
        "ce": lambda z, rows: losses.cross_entropy(z, labels[rows]),
    }

    def goal() -> Goal:
        return Goal(model, by_name, torch.arange(N), wins=True, classifier=Classifier(model, labels))

    attacked_goal = goal()
    with torch.random.fork_rng():  # dropout draws from the global generator
        found = attack(attacked_goal, images, generator=generator(seed))
        clean, attacked = goal().judge(images), goal().judge(found)
        return examine(Outcome(goal(), images, attack, clean, attacked, attacked_goal.effort, generator(seed, 1)))


@pytest.mark.parametrize("name", list(MASKS))
@pytest.mark.parametrize(
    "attack", [PGD(THREAT, steps=15), pytest.param(APGD(THREAT, steps=30), marks=pytest.mark.slow)], ids=["pgd", "apgd"]
)
def test_a_masked_gradient_is_flagged(name: str, attack: Attack, network: Network) -> None:
    defence, check = MASKS[name]
    found = flags(Defended(network, defence).eval(), attack)
    assert check in [flag.check for flag in found], found


def test_training_mode_and_half_precision_are_flagged(network: Network) -> None:
    plain = Defended(network, lambda network, x: network(x).logits).eval()
    plain.training = True  # of the outermost module alone, which changes nothing but the flag
    assert [flag.check for flag in flags(plain, PGD(THREAT))] == ["training mode"]
    half = Defended(network, lambda network, x: network(x).logits.half()).eval()
    assert "float16" in [flag.check for flag in flags(half, PGD(THREAT))]


def test_an_attack_that_stops_too_early_is_flagged(network: Network) -> None:
    plain = Defended(network, lambda network, x: network(x).logits).eval()
    short = PGD(Threat("linf", 0.3), steps=8, step_size=0.002, start="clean")
    assert "still rising" in [flag.check for flag in flags(plain, short)]


@pytest.mark.parametrize("seed", range(10))
def test_an_honest_model_is_never_flagged(seed: int) -> None:
    """Of two architectures and ten random initialisations."""
    network = small_network(seed, ("cnn_tiny", "cnn_small")[seed % 2], classes=10)
    fit_head(network, dataset("digits", "train[:400]"), seed=seed)
    plain = Defended(network.requires_grad_(False), lambda network, x: network(x).logits).eval()
    assert flags(plain, PGD(THREAT), seed) == []


def test_gradients_whose_squares_are_zero_are_still_directions() -> None:
    """A saturated loss: the check steps along the gradient, not beyond [0, 1]."""
    images = torch.rand(4, 3, 8, 8, generator=generator(60))
    direction = torch.randn(192, generator=generator(61))
    seen = []

    def forward(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return 1e-30 * (x.flatten(1) @ direction)[:, None]

    goal = Goal(forward, {"loss": lambda z, rows: z[:, 0]}, torch.arange(4), wins=False)
    nothing = torch.zeros(4)
    outcome = Outcome(goal, images, PGD(THREAT), nothing, nothing, goal.effort, generator(62))
    assert wrong_gradient(outcome) is None
    assert all(((x >= 0) & (x <= 1)).all() for x in seen)


@pytest.mark.parametrize(
    ("forwards", "backwards", "images"),
    [(0, 0, 0), (5_719, 0, 0), (5_720, 0, 2), (1_000, 2_360, 2), (10**7, 0, 16)],
)
def test_how_many_images_a_fifth_of_the_passes_pays_for(forwards: int, backwards: int, images: int) -> None:
    assert affordable(Effort(forwards, backwards)) == images


def test_the_price_of_an_image_is_what_the_checks_take() -> None:
    """Counted at the model, for a goal that nothing wins, so that no search ends early."""
    count = [0, 0]

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Tensor) -> Tensor:
            count[0] += len(x)
            return x.clone()

        @staticmethod
        def backward(_: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
            count[1] += len(gradient)
            return gradient

    images = torch.rand(4, 3, 4, 4, generator=generator(3))
    weight = torch.rand(48, 2, generator=generator(4))
    logits = lambda x: Counted.apply(x).flatten(1) @ weight  # noqa: E731
    losses = {"margin": lambda z, rows: -1 - z[:, 0].sigmoid()}
    rows = torch.arange(4)
    goal = Goal(logits, losses, rows, wins=True, classifier=Classifier(logits, rows % 2))
    nothing = torch.full((4,), -1.5)
    examine(Outcome(goal, images, PGD(THREAT), nothing, nothing, goal.effort, generator(5)))
    passes = count[0] + 2 * count[1]
    assert 0.9 * PRICE <= passes / len(images) <= 1.02 * PRICE
