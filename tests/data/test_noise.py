"""Labels made wrong: as many as asked for, every other class as likely, images untouched."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scipy.stats import chisquare

from robustfeat import Recipe, train
from robustfeat.data import MemoryImages, dataset, with_label_noise
from robustfeat.features import hub
from robustfeat.numerics.eps import Eps


def test_as_many_as_asked_for() -> None:
    data = dataset("digits", "train")
    labels = data.require_labels()
    for share in (0.0, 0.1, 0.4, 1.0):
        noisy = with_label_noise(data, share, seed=1)
        changed = noisy.require_labels() != labels
        assert int(changed.sum()) == round(share * len(labels))
        rows = torch.arange(20)
        assert torch.equal(noisy.pixels(rows), data.pixels(rows))
        assert (noisy.fingerprint == data.fingerprint) == (share == 0)
        assert torch.equal(noisy.take(rows).require_labels(), noisy.require_labels()[:20])
    assert torch.equal(data.require_labels(), labels), "the data itself is untouched"
    assert with_label_noise(data, 0.3, 1).fingerprint == with_label_noise(data, 0.3, 1).fingerprint
    assert with_label_noise(data, 0.3, 1).fingerprint != with_label_noise(data, 0.3, 2).fingerprint


def test_every_other_class_is_as_likely() -> None:
    labels = torch.arange(4000) % 4
    data = MemoryImages("four", torch.zeros(4000, 3, 2, 2, dtype=torch.uint8), labels)
    noisy = with_label_noise(data, 1.0).require_labels()
    steps = torch.bincount((noisy - labels) % 4, minlength=4)
    assert steps[0] == 0
    assert chisquare(steps[1:].numpy()).pvalue > 0.001


def test_what_can_not_be() -> None:
    data = dataset("digits", "train[:20]")
    for share in (-0.1, 1.5):
        with pytest.raises(ValueError, match=r"label noise must be a share in \[0, 1\]"):
            with_label_noise(data, share)
    one = MemoryImages("one", torch.zeros(4, 3, 2, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="fewer than two classes"):
        with_label_noise(one, 0.1)
    with pytest.raises(ValueError, match="has no labels"):
        with_label_noise(MemoryImages("none", torch.zeros(4, 3, 2, 2, dtype=torch.uint8), None), 0.1)


def test_a_run_with_wrong_labels(tmp_path: Path) -> None:
    """It trains on them, is measured on right ones, and its card says so."""
    recipe = Recipe(
        student="cnn_tiny",
        stem="timm",
        eps=Eps(0.1),
        steps=1,
        crop=0,
        flip=False,
        label_noise=0.4,
        max_steps=2,
        eval_images=20,
    )
    best = train("natural", recipe, tmp_path / "run", quiet=True)
    card = hub.read_card(best)
    assert card.recipe is not None
    assert card.recipe.label_noise == 0.4
    assert card.data.fingerprint != dataset("digits", recipe.train).fingerprint
    with pytest.raises(ValueError, match=r"label_noise must be in \[0, 1\)"):
        Recipe(label_noise=1.0)
