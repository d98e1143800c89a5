"""Nonsense handed to every registered task and detector, and to those of somebody else: a clear error, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from outside_tasks import Far, NearestMean
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks import DETECTORS, TASKS, AnomalyDetector, Task

LABELS = torch.arange(60) % 4
FEATURES = torch.randn(4, 6, generator=generator(150))[LABELS] + torch.randn(60, 6, generator=generator(151))
KINDS: dict[str, Callable[[], Task]] = {
    **{name: TASKS[name] for name in TASKS if name != "head"},  # whose weights come from a model: see test_heads.py
    **{name: DETECTORS[name] for name in DETECTORS},
    "somebody's task": NearestMean,
    "somebody's detector": Far,
}
NEEDS_CLASSES = [name for name in TASKS if name not in ("head", "ood", "compatible", "retrieval", "poisoning")]
NEEDS_CLASSES += [name for name in DETECTORS if DETECTORS[name].needs_classes]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Callable[[], Task]:
    return KINDS[request.param]


def asked(task: Task) -> tuple[Tensor, Tensor]:
    """Features and targets of cases."""
    labels = LABELS[:20]
    if task.novel_classes:
        labels = labels.masked_fill(labels == 0, 9)
    rows, targets = task.cases((labels == 0).long() if isinstance(task, AnomalyDetector) else labels, FEATURES[:20])
    return FEATURES[:20][rows], targets


NO_FEATURES: dict[str, tuple[Any, Any]] = {
    "none": (FEATURES[:0], LABELS[:0]),
    "NaN": (FEATURES.clone().index_fill_(0, torch.tensor([3]), torch.nan), LABELS),
    "infinite": (FEATURES.clone().index_fill_(0, torch.tensor([3]), torch.inf), LABELS),
    "flat": (FEATURES.flatten(), LABELS),
    "integers": (FEATURES.long(), LABELS),
    "an array": (FEATURES.numpy(), LABELS),
}


@pytest.mark.parametrize("what", NO_FEATURES)
def test_nothing_to_learn_from(kind: Callable[[], Task], what: str) -> None:
    with pytest.raises(ValueError, match=r"features|examples"):
        kind().fit(*NO_FEATURES[what])


def test_labels_that_are_none(kind: Callable[[], Task]) -> None:
    for wrong, message in (
        (LABELS[:5], "60 features but 5 targets"),
        (LABELS - 2, "negative"),
        (LABELS.float(), "integer"),
    ):
        with pytest.raises(ValueError, match=message):
            kind().fit(FEATURES, wrong)


@pytest.mark.parametrize("name", NEEDS_CLASSES)
def test_one_class_only(name: str) -> None:
    with pytest.raises(ValueError, match="two classes"):
        KINDS[name]().fit(FEATURES, torch.zeros(60).long())


def test_unfitted(kind: Callable[[], Task]) -> None:
    task = kind()
    for use in (task.loss, task.judge):
        with pytest.raises(RuntimeError, match="call fit first"):
            use(FEATURES, torch.zeros(60, 8).long() if task.name in ("anomaly", "ranks", "poisoning") else LABELS * 0)


def test_features_that_do_not_fit(kind: Callable[[], Task]) -> None:
    task = kind().fit(FEATURES[20:], LABELS[20:])
    features, targets = asked(task)
    before = task.score(features, targets)
    for wrong, message in (
        (torch.zeros(len(features), 5), "width"),
        (torch.full_like(features, torch.nan), "NaN"),
        (features.flatten(), r"\(n, d\)"),
        (features.long(), "float tensor"),
    ):
        for use in (task.loss, task.judge):
            with pytest.raises(ValueError, match=message):
                use(wrong, targets)
    with pytest.raises(ValueError, match="no features to score"):
        task.score(features[:0], targets[:0])
    assert task.score(features, targets) == before, "nothing is lost"
