"""Heads that are not the clean probe: trained adversarially, or a model's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cues import THREAT, cues, two_cues
from torch import Tensor

from robustfeat.attacks import PGD
from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator
from robustfeat.tasks import AdversarialProbe, Head, LinearProbe, named
from robustfeat.testing import small_network


def test_an_adversarially_trained_head_leaves_the_fragile_cue_alone(
    linear_extractor: Callable[[Tensor], FeatureExtractor],
) -> None:
    """The faint pattern tells the classes apart without error, and an attack of 16/255 turns it round."""
    extractor = linear_extractor(cues())
    report = evaluate(
        extractor,
        [LinearProbe(), AdversarialProbe(THREAT, steps=2, epochs=20, batch_size=50)],
        two_cues(200, 0),
        two_cues(100, 1),
        [PGD(THREAT, steps=5)],
        progress=False,
        examined=0,
    )
    name = f"adversarial-probe:{THREAT.eps}"
    assert report.value("probe", "accuracy") == 1
    assert report.value("probe", "accuracy", "pgd") < 0.1
    assert report.value(name, "accuracy", "pgd") > 0.55, "brightness alone gives Phi((0.12 - 0.063) / 0.108), about 0.7"


def test_it_starts_from_the_clean_head_and_is_the_same_again(extractor: FeatureExtractor) -> None:
    data = two_cues(40, 2)
    features = torch.from_numpy(extractor.transform(data))
    labels = data.require_labels()
    clean = LinearProbe().fit(features, labels)
    assert torch.equal(AdversarialProbe().fit(features, labels).logits(features), clean.logits(features))
    one, two = (AdversarialProbe(THREAT, 1, 1).fit_on(extractor, data, features) for _ in range(2))
    assert torch.equal(one.logits(features), two.logits(features))
    assert not torch.equal(one.logits(features), clean.logits(features))
    assert isinstance(task := named("adversarial-probe:16/255"), AdversarialProbe)
    assert task.threat == THREAT


def test_the_head_of_a_model(extractor: FeatureExtractor, tmp_path: Path) -> None:
    data = two_cues(12, 3)
    features = torch.from_numpy(extractor.transform(data))
    images = data.batch(torch.arange(12)).images
    with torch.no_grad():
        own = Head().fit_on(extractor, data, features).logits(features)
        torch.testing.assert_close(own, extractor.network(images).logits)
        teacher = small_network(5)
        hub.save(tmp_path / "teacher", teacher, Card("teacher", teacher.architecture, teacher.feature_dim))
        theirs = named(f"head:{tmp_path / 'teacher'}").fit_on(extractor, data, features)
        torch.testing.assert_close(theirs.logits(features), teacher.classify(features))
    assert theirs.title == f"head:{tmp_path / 'teacher'}"


def test_a_head_that_does_not_fit(extractor: FeatureExtractor) -> None:
    features, labels = torch.randn(4, 256, generator=generator(0)), torch.arange(4)
    with pytest.raises(ValueError, match="call fit_on, or give source"):
        Head().fit(features, labels)
    data = MemoryImages("five classes", torch.zeros(5, 3, 8, 8, dtype=torch.uint8), torch.arange(5))
    with pytest.raises(ValueError, match="4 classes, the data has 5"):
        Head().fit_on(extractor, data, torch.zeros(5, 256))
    with pytest.raises(ValueError, match="takes 256 features, there are 7: the spaces differ"):
        Head().fit_on(extractor, data, torch.zeros(5, 7))
    with pytest.raises(KeyError, match="unknown model 'nobody'"):
        Head("nobody").fit(features, labels)
    for wrong in ({"steps": 0}, {"epochs": 0}, {"lr": 0.0}, {"batch_size": 0}):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"{name} must be greater than 0"):
            AdversarialProbe(**wrong)


def test_images_are_looked_at_once_and_training_images_only_where_something_is_learnt(
    extractor: FeatureExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = two_cues(20, 1), two_cues(10, 2)
    seen: list[str] = []
    clock: list[float] = []  # time passes while features are extracted only
    monkeypatch.setattr(sys.modules["robustfeat.evaluation.evaluator"].time, "monotonic", lambda: sum(clock))
    transform = FeatureExtractor.transform
    names = {train.fingerprint: "train", test.fingerprint: "test"}

    def counted(self: FeatureExtractor, images: MemoryImages, **options: object) -> object:
        seen.append(names[images.fingerprint])
        clock.append(100.0)
        return transform(self, images, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FeatureExtractor, "transform", counted)
    report = evaluate(extractor, ["head"], train, test, progress=False)
    assert seen == ["test"]
    seen.clear()
    both = evaluate(extractor, ["head", "retrieval", "knn-probe"], train, test, progress=False)
    assert sorted(seen) == ["test", "train"]
    assert [row.seconds for row in both.rows] == [0.0] * len(both.rows), "extraction is no part of a fit"
    assert both.value("head", "accuracy", "none") == report.value("head", "accuracy", "none")
