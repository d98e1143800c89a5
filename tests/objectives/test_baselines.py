"""natural, at, nfgsm and trades against formulas written out one number at a time."""

from __future__ import annotations

import math

import pytest
import torch

from robustfeat.attacks import Threat
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch, Images
from robustfeat.objectives import NFGSM, TRADES, AdversarialTraining, Natural, Views
from robustfeat.testing import small_network

N, K = 6, 4


def views_of_a_batch(*, attacked: bool = True) -> Views:
    labels = torch.arange(N) % K
    images = torch.rand(N, 3, 8, 8, generator=generator(0))
    student = small_network(0).eval()
    with torch.no_grad():
        student.head.weight.mul_(50)  # an untrained head says nearly the same of every image
    views = Views(student, None, Batch(images, labels, torch.arange(N)), generator(1))
    if attacked:
        views.attacked = (images + 0.1).clamp(0, 1)
    return views


def probabilities(views: Views, images: Images) -> list[list[float]]:
    logits = views.student(images).logits.double().tolist()
    return [[math.exp(v) / sum(math.exp(w) for w in row) for v in row] for row in logits]


def cross_entropy(rows: list[list[float]], labels: list[int], smoothing: float = 0.0) -> float:
    total = 0.0
    for row, label in zip(rows, labels, strict=True):
        target = [smoothing / K + (1 - smoothing) * (j == label) for j in range(K)]
        total -= sum(t * math.log(p) for t, p in zip(target, row, strict=True))
    return total / len(rows)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_natural_and_at(smoothing: float) -> None:
    views = views_of_a_batch()
    labels = views.labels.tolist()
    natural = Natural(label_smoothing=smoothing)(views).terms["ce"]
    assert natural.item() == pytest.approx(
        cross_entropy(probabilities(views, views.clean), labels, smoothing), rel=1e-5
    )
    at = AdversarialTraining(label_smoothing=smoothing)(views).terms["ce"]
    assert at.item() == pytest.approx(cross_entropy(probabilities(views, views.attacked), labels, smoothing), rel=1e-5)


def test_at_goes_further_on_images_that_the_student_is_sure_of() -> None:
    views, eps, spread = views_of_a_batch(attacked=False), 8 / 255, 0.5
    views.clean.mul_(0.5).add_(0.25)  # away from the border of what is an image
    objective = AdversarialTraining(eps_spread=spread)
    attack, loss = objective.attack(Threat("linf", Eps(eps)), 10, None), objective.inner(views)
    assert loss is not None
    found = attack(loss, views.clean, generator=generator(3))
    right = [row[label] for row, label in zip(probabilities(views, views.clean), views.labels.tolist(), strict=True)]
    assert max(right) > 1.5 * min(right)
    reached = (found - views.clean).abs().flatten(1).amax(dim=1)
    assert reached.tolist() == pytest.approx([eps * (1 + spread * (2 * p - 1)) for p in right], rel=1e-4)
    same = AdversarialTraining(eps_spread=0.0).attack(Threat("linf", Eps(eps)), 10, None)
    assert same == Natural().attack(Threat("linf", Eps(eps)), 10, None), "the plain attack"


@pytest.mark.parametrize(("beta", "smoothing"), [(1.0, 0.0), (6.0, 0.0), (6.0, 0.4)])
def test_trades(beta: float, smoothing: float) -> None:
    views = views_of_a_batch()
    p, q = probabilities(views, views.clean), probabilities(views, views.attacked)
    kl = sum(a * (math.log(a) - math.log(b)) for x, y in zip(p, q, strict=True) for a, b in zip(x, y, strict=True)) / N
    terms = TRADES(beta=beta, label_smoothing=smoothing)(views).terms
    assert terms["ce"].item() == pytest.approx(cross_entropy(p, views.labels.tolist(), smoothing), rel=1e-5)
    assert terms["kl"].item() == pytest.approx(beta * kl, rel=1e-4)


def test_trades_attacks_the_same_divergence() -> None:
    views = views_of_a_batch(attacked=False)
    loss = TRADES().inner(views)
    assert loss is not None
    torch.testing.assert_close(loss(views.clean), torch.zeros(N), atol=1e-6, rtol=0)
    assert (loss((views.clean + 0.1).clamp(0, 1)) > 0).all()


def test_nfgsm_is_one_sign_step_from_strong_noise() -> None:
    views = views_of_a_batch(attacked=False)
    objective, eps = NFGSM(noise=2.0), 8 / 255
    attack = objective.attack(Threat("linf", Eps(eps)), steps=10, step_size=None)
    loss = objective.inner(views)
    assert loss is not None
    found = attack(loss, views.clean, generator=generator(3))
    noise = torch.rand(views.clean.shape, generator=generator(3)) * 2 - 1
    start = (views.clean + 2 * eps * noise).clamp(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(start).sum(), start)
    torch.testing.assert_close(found, (start.detach() + eps * gradient.sign()).clamp(0, 1))
    assert (found - views.clean).abs().max() > eps + 1e-3  # it leaves the ball, by design


def test_nfgsm_is_for_linf() -> None:
    views = views_of_a_batch(attacked=False)
    objective = NFGSM()
    objective.inner(views)
    with pytest.raises(ValueError, match="nfgsm is defined for norm 'linf' only, got 'l2'"):
        objective.attack(Threat("l2", Eps(0.5)), 1, None)
