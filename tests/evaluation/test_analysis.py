"""Similarities by their definitions, the shift of a linear extractor by its singular value, the bound against losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from robustfeat.attacks import PGD, Noise, Threat
from robustfeat.data import MemoryImages, dataset
from robustfeat.evaluation import Shift, class_correlation_gap, describe, feature_shift, linear_cka, loss_gap_bound
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics import losses
from robustfeat.numerics.logistic import Linear
from robustfeat.numerics.random import generator
from robustfeat.tasks import LinearProbe


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def test_cka_by_its_definition() -> None:
    """HSIC of centred Gram matrices."""
    x, y = normal(30, 5), normal(30, 8, seed=1) + normal(30, 5) @ normal(5, 8, seed=2)
    centre = np.eye(30) - 1 / 30
    k, l = (centre @ z.double().numpy() @ z.double().numpy().T @ centre for z in (x, y))  # noqa: E741
    expected = (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())
    assert linear_cka(x, y) == pytest.approx(expected, rel=1e-9)
    assert 0 < linear_cka(x, y) < 1


def test_cka_does_not_see_rotation_scale_and_shift() -> None:
    x = normal(50, 6)
    rotation, _ = torch.linalg.qr(normal(6, 6, seed=1))
    assert linear_cka(x, 3 * x @ rotation + 7) == pytest.approx(1, abs=1e-6)
    assert linear_cka(x, normal(50, 6, seed=2)) < 0.3


def test_class_correlation_gap_by_loops() -> None:
    labels = torch.arange(40) % 4
    x, y = normal(40, 7), normal(40, 9, seed=1)
    total = 0.0
    for i in range(4):
        for j in range(4):
            found = []
            for z in (x.numpy().astype(np.float64), y.numpy().astype(np.float64)):
                means = np.stack([z[labels.numpy() == c].mean(0) for c in range(4)])
                means -= means.mean(0)
                found.append(np.corrcoef(means[i], means[j])[0, 1])
            total += abs(found[0] - found[1]) * (i != j)
    assert class_correlation_gap(x, y, labels) == pytest.approx(total / 12, rel=1e-9)
    rotation, _ = torch.linalg.qr(normal(7, 7, seed=2))
    assert class_correlation_gap(x, 2 * x, labels) == pytest.approx(0, abs=1e-9)
    assert class_correlation_gap(x, x @ rotation, labels) < 0.35


def test_shift_of_a_linear_extractor(linear_extractor: Callable[[Tensor], FeatureExtractor]) -> None:
    """Under l2 it is eps times the largest singular value, whatever the image."""
    directions = normal(192, 5) @ torch.diag(torch.tensor([9.0, 2, 1, 1, 1]))
    extractor = linear_extractor(directions)
    pixels = (127.5 + 10 * normal(12, 3, 8, 8, seed=1)).byte()
    attack = PGD(Threat("l2", 0.3), steps=60, step_size=0.1)
    found = feature_shift(extractor, MemoryImages("grey", pixels, None), attack, batch_size=5)
    expected = 0.3 * float(torch.linalg.svdvals(directions)[0])
    torch.testing.assert_close(found.distances, torch.full((12,), expected), rtol=1e-2, atol=0)
    assert found.relative == pytest.approx(expected / float(found.clean.norm(dim=1).mean()), rel=1e-2)
    by_hand = [
        np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*map(Tensor.numpy, found), strict=True)
    ]
    assert found.cosine == pytest.approx(np.mean(by_hand), abs=1e-5)


def test_an_attack_moves_features_further_than_noise(extractor: FeatureExtractor) -> None:
    data, threat = dataset("digits", "test[:24]"), Threat("linf", 0.1)
    attacked, noise = (feature_shift(extractor, data, a, batch_size=10) for a in (PGD(threat, steps=10), Noise(threat)))
    assert torch.equal(attacked.clean, noise.clean)
    assert (attacked.distances > noise.distances).all()
    assert attacked.relative > noise.relative
    again = feature_shift(extractor, data, PGD(threat, steps=10), batch_size=10)
    assert torch.equal(again.attacked, attacked.attacked)


def test_the_bound_holds(extractor: FeatureExtractor) -> None:
    train, test = dataset("digits", "train[:200]"), dataset("digits", "test[:40]")
    probe = LinearProbe().fit(torch.from_numpy(extractor.transform(train)), train.require_labels())
    found = feature_shift(extractor, test, PGD(Threat("linf", 0.1), steps=10))
    labels = test.require_labels()
    gap = [losses.cross_entropy(probe.logits(features), labels).mean() for features in (found.attacked, found.clean)]
    bound = loss_gap_bound(probe.weight, found.distances)
    assert 0 < gap[0] - gap[1] <= bound
    # Two classes, features moved along the difference of their weights: nothing is given away.
    weight = torch.tensor([[40.0, 0], [-40, 0]])
    features, moved = torch.tensor([[-1.0, 3]]), torch.tensor([[-2.0, 3]])
    label = torch.tensor([0])
    steep = losses.cross_entropy(moved @ weight.T, label) - losses.cross_entropy(features @ weight.T, label)
    assert float(steep) == pytest.approx(loss_gap_bound(weight, (moved - features).norm(dim=1)), rel=1e-6)


def test_errors(extractor: FeatureExtractor) -> None:
    x, labels = normal(12, 4), torch.arange(12) % 3
    for call, message in (
        (lambda: linear_cka(x, x[:9]), "12 rows and other 9"),
        (lambda: linear_cka(x, torch.ones(12, 2)), "'other' are all equal"),
        (lambda: class_correlation_gap(x, x[:9], labels), "12 and 9 features but 12 labels"),
        (lambda: class_correlation_gap(x, x, labels % 2), "at least three of them, labels have 2"),
        (lambda: loss_gap_bound(x[:1], x[:, 0]), "at least two classes"),
        (lambda: feature_shift(extractor, dataset("digits").take(range(0)), PGD()), "is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_describe_by_its_parts() -> None:
    """Numbers are those of the functions they are made of; what was not given is not there."""
    labels = torch.arange(40) % 4
    shift, teacher = (Shift(normal(40, d, seed=s), normal(40, d, seed=s + 1)) for d, s in ((6, 0), (9, 2)))
    probe = LinearProbe().fit(shift.clean, labels)
    assert probe.weight is not None
    assert probe.bias is not None
    found = describe(shift, labels, teacher=teacher, head=Linear(probe.weight, probe.bias))
    gap = [losses.cross_entropy(probe.logits(x), labels).mean() for x in shift]
    assert found == pytest.approx(
        {
            "relative shift": shift.relative,
            "cosine": shift.cosine,
            "CKA to the teacher": linear_cka(shift.clean, teacher.clean),
            "CKA to the teacher, attacked": linear_cka(shift.attacked, teacher.attacked),
            "class-correlation gap to the teacher": class_correlation_gap(shift.clean, teacher.clean, labels),
            "class-correlation gap to the teacher, attacked": class_correlation_gap(
                shift.attacked, teacher.attacked, labels
            ),
            "probe's loss gap": float(gap[1] - gap[0]),
            "bound on it": loss_gap_bound(probe.weight, shift.distances),
        },
        rel=1e-5,
    )
    assert found["probe's loss gap"] <= found["bound on it"]
    assert set(describe(shift)) == {"relative shift", "cosine"}
    assert "class-correlation gap to the teacher" not in describe(shift, labels % 2, teacher=teacher)
