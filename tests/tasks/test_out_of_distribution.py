"""Novel classes as anomalies, against scikit-learn and pytorch-ood, clean and attacked; tasks by name."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score

from robustfeat.attacks import PGD, Threat
from robustfeat.data import MemoryImages, dataset, with_outliers
from robustfeat.evaluation import compare, evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator
from robustfeat.tasks import GMM, Energy, LinearProbe, Mahalanobis, OneClass, OutOfDistribution, named


def test_the_metric_is_that_of_sklearn(extractor: FeatureExtractor) -> None:
    """Digits 0 to 4 are known, the others are not."""
    data = dataset("digits", "train[:400]"), dataset("digits", "test[:60]")
    train = data[0].take((data[0].require_labels() < 5).nonzero().squeeze(1))
    attack = PGD(Threat("linf", 0.05), steps=5)
    tasks = ["ood", "ood:energy"]
    report = evaluate(extractor, tasks, train, data[1], [attack], batch_size=64, examined=0, progress=False)
    learnt, tested = (torch.from_numpy(extractor.transform(part)) for part in (train, data[1]))
    novel = data[1].require_labels() >= 5
    logits = LinearProbe().fit(learnt, train.require_labels()).logits(tested)
    scores = {"ood": Mahalanobis().fit(learnt).anomaly(tested), "ood:energy": -logits.logsumexp(1)}
    for name, score in scores.items():
        assert report.value(name, "auroc") == pytest.approx(roc_auc_score(novel, score), abs=1e-6)
        both, normal, anomalous = (report.value(name, "auroc", "pgd", column=c) for c in ("", "normal", "anomalous"))
        assert both < min(normal, anomalous)
        assert max(normal, anomalous) < report.value(name, "auroc")
    assert all(d.difference == 0 for d in compare(report, report))


def test_outliers_are_another_data_set() -> None:
    digits, fashion = dataset("digits", "test[:10]"), dataset("digits", "train[:6]")
    both = with_outliers(digits, fashion)
    assert len(both) == 16
    assert torch.equal(both.pixels(torch.arange(10)), digits.pixels(torch.arange(10)))
    assert torch.equal(
        both.pixels(torch.tensor([12, 3])),
        torch.cat([fashion.pixels(torch.tensor([2])), digits.pixels(torch.tensor([3]))]),
    )
    assert torch.equal(both.require_labels()[10:], fashion.require_labels() + 10)
    few = digits.take((digits.require_labels() < 3).nonzero().squeeze(1))
    bare = MemoryImages("few", few.pixels(torch.arange(len(few))), few.labels)
    assert int(with_outliers(bare, fashion, classes=10).require_labels()[-6:].min()) >= 10
    some = both.take([15, 0])
    assert torch.equal(some.batch(torch.tensor([0])).images, fashion.batch(torch.tensor([5])).images)
    assert some.require_labels().tolist() == [int(fashion.require_labels()[5]) + 10, int(digits.require_labels()[0])]
    assert len({both.fingerprint, some.fingerprint, with_outliers(fashion, digits).fingerprint}) == 3
    with pytest.raises(ValueError, match="8 pixels per side, those of 'digits' 16"):
        with_outliers(digits, dataset("digits", "train[:6]", image_size=16))


def test_named() -> None:
    assert isinstance(named("anomaly:gmm"), OneClass)
    assert isinstance(named("anomaly:gmm").detector, GMM)
    assert isinstance(named("ood:energy").detector, Energy)
    assert named("anomaly").title == "anomaly"
    assert named("ood:gmm").title == "ood:gmm"
    for text, error, message in (
        ("anomaly:gm", KeyError, "did you mean 'gmm'"),
        ("anomali", KeyError, "did you mean 'anomaly'"),
        ("probe:gmm", ValueError, "task 'probe' takes no argument"),
        ("anomaly:energy", ValueError, "needs several normal classes"),
    ):
        with pytest.raises(error, match=message):
            named(text)


def test_no_novel_class(extractor: FeatureExtractor) -> None:
    features, labels = torch.randn(40, 5, generator=generator(0)), torch.arange(40) % 4
    task = OutOfDistribution()
    with pytest.raises(RuntimeError, match="call fit first"):
        task.cases(labels, features)
    task.fit(features, labels)
    with pytest.raises(ValueError, match="normal and anomalous examples, got 40 and 0"):
        task.score(features, task.cases(labels, features)[1])
