"""A poisoned gallery against the same retrieval done by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from robustfeat.attacks import PGD, Threat
from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import Poisoning, Retrieval, named


def data(n: int, seed: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(n) % 3
    centres = torch.randn(3, 6, generator=generator(90))
    return centres[labels] + torch.randn(n, 6, generator=generator(91, seed)), labels


def test_as_retrieval_with_the_images_put_in_by_hand() -> None:
    learnt, known = data(90, 0)
    tested, labels = data(50, 1)
    task = Poisoning(0.1).fit(learnt, known)
    rows, targets = task.cases(labels, tested)
    inside = targets[:, 1] == 1
    assert int(inside.sum()) == 10, "a tenth of the gallery of 100"
    moved = tested + torch.randn(tested.shape, generator=generator(92)) * inside[:, None]
    by_hand = Retrieval().fit(torch.cat([learnt, moved[inside]]), torch.cat([known, labels[inside]]))
    assert task.score(moved[rows], targets) == pytest.approx(by_hand.score(tested[~inside], labels[~inside]), rel=1e-12)
    assert task.judge(moved, targets)["recall@1"].isnan().sum() == 10, "images in the gallery do not search"


def test_the_loss_counts_the_searches_that_are_lost() -> None:
    """With a sharp count: the share of searches for other classes that would find the item first."""
    learnt, known = data(90, 0)
    tested, labels = data(50, 1)
    task = Poisoning(0.1).fit(learnt, known)
    _, targets = task.cases(labels, tested)
    loss = task.count(task.evidence(tested), targets, sharpness=1e7)
    unit = torch.nn.functional.normalize
    searches = (targets[:, 1] == 0).nonzero().squeeze(1).tolist()
    for i in range(50):
        lost = []
        for j in searches:
            if labels[i] != labels[j]:
                cosine = unit(learnt, dim=1) @ unit(tested[j], dim=0)
                best = max(float(c) for c, k in zip(cosine, known, strict=True) if k == labels[j])
                lost.append(float(unit(tested[i], dim=0) @ unit(tested[j], dim=0)) > best)
        expected = sum(lost) / len(lost) if targets[i, 1] else 0
        assert float(loss[i]) == pytest.approx(expected, abs=1e-4)


def test_only_the_images_in_the_gallery_are_attacked(extractor: FeatureExtractor) -> None:
    labels = torch.arange(100) % 4
    patterns = torch.rand(4, 3, 8, 8, generator=generator(93))
    noise = torch.randn(100, 3, 8, 8, generator=generator(94))
    pixels = (0.25 + 0.5 * patterns[labels] + 0.25 * noise).clamp(0, 1).mul(255).byte()
    data = MemoryImages("patterns", pixels, labels)
    train, test = data.take(torch.arange(60)), data.take(torch.arange(60, 100))
    task = named("poisoning:0.2")
    assert task.title == "poisoning:0.2"
    attack = PGD(Threat("linf", Eps("32/255")), steps=10)
    report = evaluate(extractor, [task], train, test, [attack], progress=False, examined=4)
    assert [ran.backwards for ran in report.runs] == [15 * 10] * 2, "15 of 75 gallery images, ten steps"
    clean, attacked = (report.value(task.title, "recall@1", name) for name in ("none", "pgd"))
    assert attacked < clean - 0.05
    assert {row.n for row in report.rows} == {25}
    assert not [flag for ran in report.runs for flag in ran.flags if flag.check == "zero gradients"]


def test_bad_input() -> None:
    features, labels = data(10, 2)
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match=r"share must be in \(0, 1\)"):
            Poisoning(share)
    with pytest.raises(RuntimeError, match="call fit first"):
        Poisoning().cases(labels, features)
    with pytest.raises(ValueError, match="at least two test images, got 1"):
        Poisoning().fit(features, labels).cases(labels[:1], features[:1])
    with pytest.raises(ValueError, match="width 2, the task was fitted on width 6"):
        Poisoning().fit(features, labels).cases(labels, features[:, :2])
    task = Poisoning().fit(features, labels)
    _, targets = task.cases(torch.full((10,), 7), features)
    with pytest.raises(ValueError, match="nothing to retrieve"):
        Poisoning(0.3).fit(features, labels).summary({"map@r": torch.full((10,), torch.nan)}, targets)


def test_a_share_that_the_test_set_can_not_fill() -> None:
    features, labels = data(100, 3)
    with pytest.raises(ValueError, match="takes 100 test images, more than half of the 20 there are"):
        Poisoning(0.5).fit(features, labels).cases(labels[:20], features[:20])
