from __future__ import annotations

import math
import warnings

import pytest
import torch

from robustfeat.attacks import FGSM, PGD, Attack, Goal, Threat
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Images, PerExample


def ascend(x: Images) -> PerExample:
    return x.flatten(1).sum(1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_projection_is_the_nearest_point_of_the_ball(norm: str) -> None:
    threat = Threat(norm, Eps(0.1))
    origin = torch.full((5, 3, 4, 4), 0.5)
    point = origin + 0.2 * torch.randn(5, 3, 4, 4, generator=generator(0))
    delta = (threat.around(origin).project(point) - origin).flatten(1)
    moved = (point - origin).flatten(1)
    if norm == "linf":
        expected = moved.clamp(-0.1, 0.1)
    else:
        expected = torch.stack([row * min(1.0, 0.1 / float(row.norm())) for row in moved])
    torch.testing.assert_close(delta, expected)
    inside = origin + 1e-3
    torch.testing.assert_close(threat.around(origin).project(inside), inside)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_samples_fill_the_ball(norm: str) -> None:
    threat = Threat(norm, Eps(0.05))
    images = torch.full((2000, 1, 2, 2), 0.5)
    delta = (threat.around(images).sample(generator(0)) - images).flatten(1)
    size = delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)
    assert size.max() <= 0.05 + 1e-6
    # In 4 dimensions a share of 1/16 lies within half the radius.
    assert abs(float((size < 0.025).float().mean()) - 1 / 16) < 0.02
    assert abs(float(delta.mean())) < 1e-3


def test_linear_loss_is_raised_to_its_maximum() -> None:
    images = torch.full((2, 3, 4, 4), 0.5)
    attacked = PGD(Threat("linf", Eps("8/255")), steps=10)(ascend, images, generator=generator(0))
    torch.testing.assert_close(attacked - images, torch.full_like(images, 8 / 255))
    attacked = PGD(Threat("l2", Eps(0.5)), steps=100, step_size=0.1)(ascend, images, generator=generator(0))
    torch.testing.assert_close(attacked - images, torch.full_like(images, 0.5 / math.sqrt(48)), atol=1e-3, rtol=0)


def test_the_image_borders_hold() -> None:
    images = torch.ones(2, 3, 4, 4)
    assert torch.equal(PGD(steps=3)(ascend, images, generator=generator(0)), images)


def test_the_best_iterate_is_kept_per_example() -> None:
    """A loss that rises and then falls: the last point is worse than one on the way."""

    def ridge(x: Images) -> PerExample:
        return -((x.flatten(1).mean(1) - 0.52).abs())

    images = torch.full((3, 1, 4, 4), 0.5)
    attack = PGD(Threat("linf", Eps(0.1)), steps=7, step_size=Eps(0.03), start="clean")
    seen: list[torch.Tensor] = []

    def recorded(x: Images) -> PerExample:
        value = ridge(x)
        seen.append(value.detach())
        return value

    result = attack(recorded, images)
    torch.testing.assert_close(ridge(result), torch.stack(seen).amax(0))


def test_restarts_only_help() -> None:
    def bumpy(x: Images) -> PerExample:
        return (40 * x.flatten(1)).sin().sum(1)

    images = torch.rand(8, 1, 4, 4, generator=generator(3))
    threat = Threat("linf", Eps(0.1))
    one = bumpy(PGD(threat, steps=5)(bumpy, images, generator=generator(0)))
    five = bumpy(PGD(threat, steps=5, restarts=5)(bumpy, images, generator=generator(0)))
    assert (five >= one).all()
    assert (five > one).any()


def test_a_cut_gradient_is_an_error() -> None:
    images = torch.full((2, 1, 4, 4), 0.5)
    with pytest.raises(RuntimeError, match="no gradient"):
        PGD(start="clean")(lambda x: ascend(x.detach()), images)
    other = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="depend"):
        PGD(start="clean")(lambda x: other * 2, images)
    with pytest.raises(ValueError, match="one value per image"):
        Goal.of(lambda x: x.sum(), images).slope(images)


@pytest.mark.parametrize("attack", [FGSM(), PGD(start="clean", steps=2)])
def test_a_flat_start_is_said(attack: Attack) -> None:
    """At the clean image the distance to itself has no slope: this attack would do nothing, and look like robustness."""
    images = torch.full((2, 1, 4, 4), 0.5)
    with pytest.warns(RuntimeWarning, match="flat at the clean images.*start='random'"):
        attack(lambda x: (x - images).pow(2).flatten(1).sum(1), images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attack(ascend, images)


def test_eps_is_what_is_usual_for_the_norm() -> None:
    assert (Threat("linf").eps, Threat("l2").eps) == (8 / 255, 128 / 255)
    assert Recipe(norm="l2").eps == 128 / 255
    assert Recipe().eps == 8 / 255


@pytest.mark.parametrize("eps", [0, -1, float("nan"), float("inf")])
def test_impossible_eps(eps: float) -> None:
    with pytest.raises(ValueError, match="eps"):
        Threat("linf", eps)


def test_impossible_options() -> None:
    with pytest.raises(ValueError, match="steps"):
        PGD(steps=0)
    with pytest.raises(ValueError, match="restarts"):
        PGD(restarts=0)


def test_the_configuration_has_every_option() -> None:
    text = PGD(Threat("linf", Eps("8/255")), steps=10, step_size=Eps("2/255")).configuration
    assert text == (
        "PGD(threat=Threat(norm='linf', eps=8/255), steps=10, step_size=2/255, restarts=1, start='random', "
        "climb=None, momentum=0.0, keep='worst')"
    )
    assert PGD(Threat("linf", Eps("8/255")), steps=10).step_size == pytest.approx(2 / 255)


def test_a_size_beyond_the_pixels_is_no_mistake_in_l2() -> None:
    assert Threat("l2", 8).eps == 8
    assert Threat("linf", 1).eps == 1
    assert PGD(Threat("linf", 1), steps=1).step_size == 1.25
    assert Threat("linf", 0.75).times(2).eps == 1
    assert Threat("l2", 0.75).times(2).eps == 1.5
