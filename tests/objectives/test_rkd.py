"""RKD's relations: what they do not change with, and batches without any."""

from __future__ import annotations

import pytest
import torch
from given_views import double, given, ready, student_tables, teacher_tables
from torch.nn import functional as F

from robustfeat.numerics.random import generator
from robustfeat.objectives.rkd import angles, distances


def features(seed: int, width: int = 6) -> torch.Tensor:
    return torch.randn(7, width, generator=generator(seed), dtype=torch.float64)


def test_relations_survive_turning_shifting_and_scaling() -> None:
    x = features(0)
    turned, _ = torch.linalg.qr(features(1)[:6])
    y = 3.7 * x @ turned + features(2)[0]
    for relation in (distances, angles):
        torch.testing.assert_close(relation(x), relation(y))
        assert not torch.allclose(relation(x), relation(features(3)))


def test_against_the_authors_means_over_all_tuples() -> None:
    """Theirs count pairs of an image with itself, which add nothing to the sum."""
    x, y = features(0), features(1, 3)
    n = len(x)
    everything = F.smooth_l1_loss(angles(x), angles(y)).item()
    distinct = [
        F.smooth_l1_loss(angles(x)[j, i, k], angles(y)[j, i, k]).item()
        for i in range(n) for j in range(n) for k in range(n) if len({i, j, k}) == 3
    ]  # fmt: skip
    assert everything == pytest.approx(sum(distinct) / n**3, rel=1e-9)


def test_equal_features_have_finite_gradients() -> None:
    """A student that has collapsed, wholly or in part, must be able to recover, or stay; not to become NaN."""
    for equal in (2, 7):
        x = features(0)
        x[:equal] = x[0]
        x.requires_grad_()
        teacher = features(1)
        loss = F.smooth_l1_loss(distances(x), distances(teacher)) + F.smooth_l1_loss(angles(x), angles(teacher))
        (gradient,) = torch.autograd.grad(loss, x)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() < 1e3


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_images(n: int) -> None:
    student, teacher = ([double(t)[:n] for t in tables] for tables in (student_tables(), teacher_tables()))
    with pytest.raises(ValueError, match=f"the batch has {n}"):
        ready("rkd")(given(student, teacher))
