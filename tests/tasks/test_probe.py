"""The linear probe against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks import LinearProbe


def data(n: int = 90, classes: int = 3) -> tuple[Tensor, Tensor]:
    random = generator(3)
    labels = torch.arange(n) % classes
    return torch.randn(classes, 5, generator=random)[labels] + torch.randn(n, 5, generator=random), labels


def test_digits_pixels_as_sklearn() -> None:
    pixels, target = load_digits(return_X_y=True)
    x, y = torch.from_numpy(pixels).float() / 16, torch.from_numpy(target).long()
    probe = LinearProbe().fit(x[:600], y[:600])
    assert probe.penalty_ is not None
    referee = LogisticRegression(C=1 / (600 * probe.penalty_), solver="newton-cholesky", tol=1e-8)
    referee.fit(x[:600].double().numpy(), target[:600])
    expected = referee.score(x[600:].double().numpy(), target[600:])
    assert expected > 0.9
    assert probe.score(x[600:], y[600:])["accuracy"] == pytest.approx(expected, abs=1e-9)
    logits = probe.logits(x[600:]).double().numpy()
    ours = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(ours - referee.predict_proba(x[600:].double().numpy())).max() < 1e-3


def test_the_loss_is_positive_exactly_for_errors() -> None:
    features, labels = data()
    probe = LinearProbe().fit(features[:60], labels[:60])
    tested, targets = features[60:], labels[60:]
    loss = probe.loss(tested, targets)
    logits = probe.logits(tested).tolist()
    wrong = []
    for row, target, value in zip(logits, targets.tolist(), loss.tolist(), strict=True):
        best_wrong = max(logit for k, logit in enumerate(row) if k != target)
        assert value == pytest.approx(best_wrong - row[target], abs=1e-6)
        wrong.append(max(range(3), key=row.__getitem__) != target)
    assert 0 < sum(wrong) < len(wrong)
    assert (loss > 0).tolist() == wrong
    assert probe.score(tested, targets)["accuracy"] == pytest.approx(1 - sum(wrong) / len(wrong))


def test_the_same_features_give_the_same_probe_and_the_state_restores() -> None:
    features, labels = data()
    probe, again = LinearProbe().fit(features, labels), LinearProbe().fit(features, labels)
    assert probe.weight is not None
    assert again.weight is not None
    assert torch.equal(probe.weight, again.weight)
    assert {name: tuple(value.shape) for name, value in probe.state_dict().items()} == {
        "weight": (len(probe.weight), features.shape[1]), "bias": (len(probe.weight),), "width": (),
    }  # fmt: skip


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scaled_features_give_the_same_predictions(scale: float) -> None:
    features, labels = data()
    plain = LinearProbe().fit(features, labels).logits(features)
    scaled = LinearProbe().fit(features * scale, labels).logits(features * scale)
    torch.testing.assert_close(plain, scaled, atol=1e-3, rtol=0)


def test_unfitted() -> None:
    features, labels = data()
    for use in (lambda: LinearProbe().score(features, labels), lambda: LinearProbe().loss(features, labels)):
        with pytest.raises(RuntimeError, match="call fit first"):
            use()


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (torch.zeros(0, 5), torch.zeros(0).long(), "no features"),
        (torch.full((4, 5), torch.nan), torch.arange(4), "NaN"),
        (torch.full((4, 5), torch.inf), torch.arange(4), "infinite"),
        (torch.zeros(4, 5, dtype=torch.uint8), torch.arange(4), "float tensor"),
        (torch.zeros(4), torch.arange(4), r"\(n, d\)"),
        (torch.zeros(4, 5), torch.arange(3), "4 features but 3 targets"),
        (torch.zeros(4, 5), torch.zeros(4).long(), "at least two classes"),
        (torch.zeros(4, 5), torch.arange(4) - 1, "negative"),
        (torch.zeros(4, 5), torch.rand(4, generator=generator(0)), "integer class numbers"),
    ],
)
def test_bad_training_data(features: Tensor, targets: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LinearProbe().fit(features, targets)


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (torch.zeros(2, 6), torch.tensor([0, 1]), "width 6.*width 5"),
        (torch.full((2, 5), torch.nan), torch.tensor([0, 1]), "NaN"),
        (torch.zeros(2, 5), torch.tensor([0, 3]), "target 3"),
        (torch.zeros(2, 5), torch.tensor([0, -1]), "negative"),
        (torch.zeros(2, 5), torch.tensor([0]), "2 features but 1 targets"),
    ],
)
def test_bad_test_data(features: Tensor, targets: Tensor, message: str) -> None:
    probe = LinearProbe().fit(*data())
    with pytest.raises(ValueError, match=message):
        probe.score(features, targets)
    with pytest.raises(ValueError, match=message):
        probe.loss(features, targets)


def test_nothing_to_score() -> None:
    with pytest.raises(ValueError, match="no features"):
        LinearProbe().fit(*data()).score(torch.zeros(0, 5), torch.zeros(0).long())


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_bad_held_out_share(share: float) -> None:
    with pytest.raises(ValueError, match="held_out"):
        LinearProbe(held_out=share)
