"""What the peers' inner attacks raise, on networks: the right number per image, and PGD does raise it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from plain_losses import cross_entropy, dot, kl, minus

from robustfeat.attacks import Threat
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch, Images, Loss
from robustfeat.objectives import OBJECTIVES, Spaces, Views
from robustfeat.testing import small_network

N, CLASSES = 6, 4


def views_of_a_batch() -> Views:
    student, teacher = small_network(0).eval(), small_network(1).eval()
    with torch.no_grad():
        for network in (student, teacher):
            network.head.weight.mul_(50)  # an untrained head says nearly the same of every image
    images = torch.rand(N, 3, 8, 8, generator=generator(0))
    return Views(student, teacher, Batch(images, torch.arange(N) % CLASSES, torch.arange(N)), generator(1))


def inner(name: str, views: Views) -> Loss | None:
    objective = OBJECTIVES[name]()
    width = views.student.feature_dim
    objective.setup(Spaces(width, CLASSES, N, width, CLASSES, views.labels), generator(2))
    with views.attacking():  # cached outputs of the student are out of reach here
        return objective.inner(views)


def ce(views: Views, images: Images) -> list[float]:
    rows = views.student(images).logits.double().tolist()
    return [cross_entropy(row, label) for row, label in zip(rows, views.labels.tolist(), strict=True)]


def to_clean_teacher(views: Views, images: Images) -> list[float]:
    target, rows = (out.logits.double().tolist() for out in (views.teacher(views.clean), views.student(images)))
    return [kl(p, q) for p, q in zip(target, rows, strict=True)]


def to_attacked_teacher(views: Views, images: Images) -> list[float]:
    target, rows = (out.logits.double().tolist() for out in (views.teacher(images), views.student(images)))
    return [kl(p, q) for p, q in zip(target, rows, strict=True)]


def feature_distance(views: Views, images: Images) -> list[float]:
    target, rows = (
        views.teacher.features(views.clean).double().tolist(),
        views.student.features(images).double().tolist(),
    )
    return [dot(minus(u, v), minus(u, v)) for u, v in zip(rows, target, strict=True)]


RAISES: dict[str, Callable[[Views, Images], list[float]]] = {
    "ard": ce,
    "iad": ce,
    "rslad": to_clean_teacher,
    "adaad": to_attacked_teacher,
    "fare": feature_distance,
}


@pytest.mark.parametrize("name", list(RAISES))
def test_the_attack_raises_what_the_paper_says(name: str) -> None:
    views = views_of_a_batch()
    loss, threat = inner(name, views), Threat("linf")
    assert loss is not None
    attacked = OBJECTIVES[name]().attack(threat, 5, None)(loss, views.clean, generator=generator(3))
    before, after = RAISES[name](views, views.clean), RAISES[name](views, attacked)
    assert loss(views.clean).tolist() == pytest.approx(before, rel=1e-4)
    assert loss(attacked).tolist() == pytest.approx(after, rel=1e-4)
    assert all(b > a for a, b in zip(before, after, strict=True))
    assert (attacked - views.clean).abs().max() <= threat.eps + 1e-6


@pytest.mark.parametrize("name", ["kd", "crd", "rrm", "fitnet", "rkd"])
def test_no_attack(name: str) -> None:
    assert inner(name, views_of_a_batch()) is None


def gradient(loss: Loss, images: Images) -> Images:
    x = images.clone().requires_grad_()
    return torch.autograd.grad(loss(x).sum(), x)[0]


@pytest.mark.parametrize("name", list(RAISES))
def test_the_gradient_is_that_of_what_is_raised(name: str) -> None:
    """adaad's goes through the teacher as well; those of the others end at its clean prediction."""
    views, h = views_of_a_batch(), 1e-3
    loss = inner(name, views)
    assert loss is not None
    found = gradient(loss, views.clean)
    direction = found.sign() / found[0].numel() ** 0.5
    ahead, behind = (sum(RAISES[name](views, views.clean + step * direction)) for step in (h, -h))
    assert (found * direction).sum().item() == pytest.approx((ahead - behind) / (2 * h), rel=0.02)


def test_adaad_would_miss_half_of_the_gradient_without_the_teacher() -> None:
    views = views_of_a_batch()
    whole, fixed = inner("adaad", views), inner("rslad", views)
    assert whole is not None
    assert fixed is not None
    torch.testing.assert_close(whole(views.clean), fixed(views.clean))
    a, b = gradient(whole, views.clean), gradient(fixed, views.clean)
    assert (a - b).norm() > 0.3 * a.norm()
