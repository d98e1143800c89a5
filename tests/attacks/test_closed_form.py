"""Attacks against the closed form: they find what exists at 1.02 times the smallest perturbation and nothing at 0.98 times."""

from __future__ import annotations

import pytest
import torch
from linear_model import Linear

from robustfeat.attacks import APGD, CW, FGSM, PGD, Attack, Noise, Square, Threat
from robustfeat.numerics.random import generator

SHAPES = [(48,), (6, 8), (3, 4, 4)]


def share_won(attack: Attack, model: Linear, factor: float) -> float:
    eps = factor * model.needed(attack.threat.norm)
    found = attack(model.goal(), model.images, generator=generator(1), eps=eps)
    delta = (found - model.images).flatten(1)
    size = delta.abs().amax(1) if attack.threat.norm == "linf" else delta.norm(dim=1)
    assert (size <= eps + 1e-6).all()
    return float(model.won(found).float().mean())


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [2, 3, 10, 100])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_smallest_perturbation_is_found_and_no_smaller_one(
    norm: str, classes: int, shape: tuple[int, ...], n: int
) -> None:
    model = Linear(classes, shape, n)
    attack = APGD(Threat(norm), steps=10, climb="margin-*", targets=classes - 1)
    assert share_won(attack, model, 1.02) == 1
    assert share_won(attack, model, 0.98) == 0


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(
    "attack",
    [FGSM(), PGD(steps=40), PGD(steps=40, start="clean"), PGD(steps=40, momentum=0.9), CW(steps=40), APGD(steps=40)],
    ids=lambda attack: f"{attack.name}-{getattr(attack, 'start', '')}-{getattr(attack, 'momentum', '')}",
)
def test_two_classes_leave_one_direction_which_every_gradient_attack_follows(attack: Attack, norm: str) -> None:
    """With two classes every loss has the same gradient direction."""
    values = {**vars(attack), "threat": Threat(norm)}
    if "step_size" in values:
        values["step_size"] = None
    attack = type(attack)(**values)
    model = Linear(2, (3, 4, 4), 8)
    assert share_won(attack, model, 1.02) == 1
    assert share_won(attack, model, 0.98) == 0


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_comes_near_and_noise_does_not(norm: str) -> None:
    model = Linear(2, (3, 8, 8), 8)
    square, noise = Square(Threat(norm), queries=2000), Noise(Threat(norm), samples=50)
    assert share_won(square, model, 2) == 1
    assert share_won(noise, model, 2) < 0.5
    assert share_won(square, model, 0.98) == share_won(noise, model, 0.98) == 0


def test_won_images_cost_nothing_more() -> None:
    model = Linear(10, (3, 4, 4), 8)
    goal = model.goal()
    sizes = (100 * model.needed("linf")).clamp(max=1)
    APGD(Threat("linf"), steps=50)(goal, model.images, generator=generator(1), eps=sizes)
    assert goal.effort.backwards <= 8 * 3, "every image falls in a step or two"
    assert goal.effort.forwards <= goal.effort.backwards + 8


def test_a_plain_loss_is_climbed_to_the_end() -> None:
    model = Linear(2, (3, 4, 4), 3)
    direction = torch.where(model.labels == 0, 1.0, -1.0)

    def loss(images: torch.Tensor) -> torch.Tensor:
        z = model(images)
        return direction * (z[:, 1] - z[:, 0])

    threat = Threat("linf", 0.1)
    found = APGD(threat, steps=20)(loss, model.images, generator=generator(0))
    slope = (model.weight[1] - model.weight[0]).view(1, 3, 4, 4) * direction.view(-1, 1, 1, 1)
    torch.testing.assert_close(found, model.images + 0.1 * slope.sign())
