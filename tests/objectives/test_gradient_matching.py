"""The matching of input gradients on networks: mirrored images, linear networks, and what it trains."""

from __future__ import annotations

import pytest
import torch
from plain_losses import dot, kl, mean

from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch, Images, Output
from robustfeat.objectives import Views
from robustfeat.objectives.gradient_matching import gradient_matching
from robustfeat.testing import small_network

N, K, PIXELS = 3, 4, 3 * 8 * 8


def around(images: Images, attacked: Images) -> Views:
    views = Views(small_network(0).eval(), small_network(1).eval(), Batch(images, None, torch.arange(N)), generator(1))
    views.attacked = attacked
    return views


def test_the_opposite_perturbation_stays_an_image() -> None:
    images = torch.rand(N, 3, 8, 8, generator=generator(2))
    images[0, 0, 0] = torch.tensor([0.0, 1.0] * 4)
    attacked = (images + 0.05 * torch.randn(images.shape, generator=generator(3)).sign()).clamp(0, 1)
    x, a = images.flatten().tolist(), attacked.flatten().tolist()
    expected = [min(max(p - (q - p), 0.0), 1.0) for p, q in zip(x, a, strict=True)]
    assert around(images, attacked).mirrored.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_linear_networks_are_told_apart_by_twice_their_gradient_times_the_perturbation() -> None:
    images = torch.full((N, 3, 8, 8), 0.5)
    delta = 0.05 * torch.randn(images.shape, generator=generator(3)).sign()
    views = around(images, images + delta)
    teacher, student = (torch.randn(K, PIXELS, generator=generator(seed)) for seed in (4, 5))
    for role, matrix in (("teacher", teacher), ("student", student)):
        for view, at in (("attacked", views.attacked), ("mirrored", views.mirrored)):
            setattr(views, f"{role}_{view}", Output(at.flatten(1), at.flatten(1) @ matrix.T + 7))
    products = [
        [[2 * dot(row, d) for row in matrix.tolist()] for d in delta.flatten(1).tolist()]
        for matrix in (teacher, student)
    ]
    expected = 3 * mean([kl(t, s) for t, s in zip(*products, strict=True)])
    assert gradient_matching(3.0, views)["igdm"].item() == pytest.approx(expected, rel=1e-4)
    views.student_attacked, views.student_mirrored = views.teacher_attacked, views.teacher_mirrored
    assert gradient_matching(3.0, views)["igdm"].item() == pytest.approx(0, abs=1e-6)


def test_both_outputs_of_the_student_are_trained_and_the_teacher_is_not() -> None:
    images = torch.rand(N, 3, 8, 8, generator=generator(2))
    views = around(images, (images + 0.1).clamp(0, 1))
    term = gradient_matching(1.0, views)["igdm"]
    ends = (views.student_attacked.logits, views.student_mirrored.logits)
    one, two = torch.autograd.grad(term, ends, retain_graph=True)
    torch.testing.assert_close(one, -two)
    assert one.abs().max() > 0
    assert not views.teacher_mirrored.logits.requires_grad


def test_without_an_attack_it_is_0_and_without_a_weight_it_is_not_there() -> None:
    images = torch.rand(N, 3, 8, 8, generator=generator(2))
    views = around(images, images)
    views.attacked = views.clean
    assert gradient_matching(1.0, views)["igdm"].item() == 0
    views = around(images, images + 0.1)
    assert gradient_matching(0.0, views) == {}
    assert "student_attacked" not in vars(views), "no pass is taken for it"
