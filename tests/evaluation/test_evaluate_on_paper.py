"""`evaluate` on linear pipelines, where what an attack can do is known on paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.attacks import FGSM, PGD, Attack, Threat
from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import LinearProbe

RESIZED: dict[str, dict[str, Any]] = {"fgsm": {}, "pgd": {"step_size": None}}  # the step follows the new eps
PATTERN = torch.randn(192, generator=generator(51)).sign()


def two_lines(n: int, seed: int) -> MemoryImages:
    """Two classes on the two sides of grey, near and far, some on the wrong side; no pixel near 0 or 1."""
    random = generator(seed)
    labels = torch.arange(n) % 2
    height = (labels * 2 - 1) * (0.08 * torch.rand(n, generator=random) - 0.01)
    pixels = 0.5 + height[:, None] * PATTERN + 0.03 * torch.randn(n, 192, generator=random).clamp(-3, 3)
    return MemoryImages("lines", pixels.mul(255).round().byte().view(n, 3, 8, 8), labels)


@pytest.mark.usefixtures("no_intervals")
@pytest.mark.parametrize(
    ("attack", "norm"),
    [
        (FGSM(), "linf"),
        (FGSM(), "l2"),
        (PGD(steps=8, start="clean"), "linf"),
        (PGD(steps=8, start="clean"), "l2"),
        (PGD(steps=8), "linf"),  # under l2 the noise across the gradient fades, it does not vanish
    ],
    ids=["fgsm-linf", "fgsm-l2", "pgd-linf", "pgd-l2", "pgd-from-noise-linf"],
)
def test_a_linear_probe_falls_exactly_at_its_margin(
    linear_extractor: Callable[[Tensor], FeatureExtractor], attack: Attack, norm: Literal["linf", "l2"]
) -> None:
    """Robust at eps if and only if margin > eps ||A (w_i - w_j)||, in the dual norm: 1 for linf, 2 for l2."""
    directions = torch.randn(192, 6, generator=generator(52)) + PATTERN[:, None]
    extractor = linear_extractor(directions)
    train, test = two_lines(200, 53), two_lines(80, 54)
    probe = LinearProbe().fit(torch.from_numpy(extractor.transform(train)), train.require_labels())
    assert probe.weight is not None
    assert probe.bias is not None
    normal = directions.double() @ (probe.weight[1] - probe.weight[0]).double()
    side = test.require_labels() * 2 - 1
    score = (test.images.double().flatten(1) / 255 - 0.5) @ normal + float(probe.bias[1] - probe.bias[0])
    needed = (side * score / normal.norm(p=1 if norm == "linf" else 2)).sort().values
    largest_change = 1.0 if norm == "linf" else float(normal.abs().max() / normal.norm())  # of a pixel, per eps
    room = float((0.5 - (test.images.double() / 255 - 0.5).abs()).min()) / largest_change
    assert (needed < 0).any(), "some are wrong as they are"
    for rank in (10, 25, 40, 60, 79):
        falls = float(needed[rank])
        assert 0 < falls * 1.01 < room, "or the box cuts the attack off"
        gap = max(1e-3 * falls, 1e-6)
        for eps in (falls - gap, falls + gap):
            sized = dataclasses.replace(attack, threat=Threat(norm, Eps(eps)), **RESIZED[attack.name])
            report = evaluate(extractor, ["probe"], train, test, [sized], batch_size=32, progress=False, examined=0)
            expected = float((needed > eps).double().mean())
            assert report.value("probe", "accuracy", attack.name) == pytest.approx(expected, abs=1e-9), (rank, eps)
            assert report.value("probe", "accuracy") == pytest.approx(float((needed > 0).double().mean()), abs=1e-9)


@pytest.mark.usefixtures("no_intervals")
def test_retrieval_falls_at_the_angle_to_the_bisector(
    linear_extractor: Callable[[Tensor], FeatureExtractor],
) -> None:
    """Two gallery items and two features: a query is lost exactly when linf eps carries it over the bisector.

    The gradient of a cosine turns on the way, so the steps must be able to go more than the 2.5 eps of PGD's default.
    """
    directions = torch.randn(192, 2, generator=generator(61)) / 10
    extractor = linear_extractor(directions)
    inverse = torch.linalg.pinv(directions.double())  # (2, 192): pixels that have given features
    angle = torch.linspace(-1.2, 1.2, 24, dtype=torch.float64)
    wanted = torch.stack([angle.cos(), angle.sin()], dim=1)
    labels = (angle > 0).long()
    ends = torch.tensor([[0.5, -1.0], [0.5, 1.0]], dtype=torch.float64)  # the bisector is the first axis

    def as_images(features: Tensor, labels: Tensor) -> MemoryImages:
        pixels = 0.5 + features @ inverse
        assert pixels.min() > 0.2
        assert pixels.max() < 0.8
        return MemoryImages("fan", pixels.mul(255).round().byte().view(-1, 3, 8, 8), labels)

    train, test = as_images(ends, torch.arange(2)), as_images(wanted, labels)
    gallery = F.normalize(torch.from_numpy(extractor.transform(train)).double(), dim=1)
    normal = directions.double() @ (gallery[1] - gallery[0])
    score = (test.images.double().flatten(1) / 255 - 0.5) @ normal
    needed = ((labels * 2 - 1) * score / normal.abs().sum()).sort().values
    for rank in (3, 12, 20):
        for eps in (float(needed[rank]) * 0.98, float(needed[rank]) * 1.02):
            attack = PGD(threat=Threat("linf", Eps(eps)), steps=100, step_size=Eps(eps / 4))
            report = evaluate(extractor, ["retrieval"], train, test, [attack], progress=False, examined=0)
            expected = float((needed > eps).double().mean())
            assert report.value("retrieval", "recall@1", "pgd") == pytest.approx(expected, abs=1e-6), (rank, eps)
