"""Targets of every type of integers mean the same; floats are no targets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks import DETECTORS, TASKS, Task

LABELS = torch.arange(60) % 2
FEATURES = 2 * torch.randn(2, 6, generator=generator(150))[LABELS] + torch.randn(60, 6, generator=generator(151))
KINDS: dict[str, Callable[[], Task]] = {
    **{name: TASKS[name] for name in TASKS if name != "head"},  # whose weights come from a model
    **{name: DETECTORS[name] for name in DETECTORS},
}


def ready(name: str, dtype: torch.dtype) -> tuple[Task, Tensor, Tensor]:
    """A fitted task, features and targets of cases."""
    task = KINDS[name]().fit(FEATURES, LABELS.to(dtype))
    labels = LABELS[:20].masked_fill(LABELS[:20] == 0, 9) if task.novel_classes else LABELS[:20]
    rows, targets = task.cases(labels, FEATURES[:20])
    return task, FEATURES[:20][rows], targets


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16], ids=str
)
@pytest.mark.parametrize("name", KINDS)
def test_all_integers_are_alike(name: str, dtype: torch.dtype) -> None:
    expected, features, targets = ready(name, torch.int64)
    task, _, _ = ready(name, dtype)
    small = targets if int(targets.max()) > 1 else targets.to(dtype)
    assert task.score(features, small) == expected.score(features, targets)
    assert torch.equal(task.loss(features, small), expected.loss(features, targets))


@pytest.mark.parametrize("name", KINDS)
def test_floats_are_refused(name: str) -> None:
    task, features, targets = ready(name, torch.int64)
    for ask in (task.score, task.loss, task.judge):
        with pytest.raises(ValueError, match=r"targets must be integer class numbers, got torch\.float32"):
            ask(features, targets.float())
    with pytest.raises(ValueError, match="targets must be integer class numbers"):
        KINDS[name]().fit(FEATURES, LABELS.float())
