"""The contract of tasks can fail: each of these is NearestMean with one thing broken, and the check names it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from outside_tasks import Far, NearestMean
from torch import Tensor

from robustfeat.tasks import Task
from robustfeat.testing import check_task


class Forgets(NearestMean):  # type: ignore[misc, valid-type]
    """What is learnt is in no buffer."""

    def __init__(self) -> None:
        super().__init__()
        del self._buffers["means"]
        self.means = None


class Detached(NearestMean):  # type: ignore[misc, valid-type]
    """The loss leaves no way back to the features that are far."""

    def _loss(self, features: Tensor, targets: Tensor) -> Tensor:
        return super()._loss(features.detach(), targets) + 0 * features.sum(dim=1)


class Unchecked(NearestMean):  # type: ignore[misc, valid-type]
    """What comes in is believed."""

    def _checked(self, features: Any, targets: Any) -> tuple[Any, Any]:
        return features, targets


class Backwards(Far):
    """What is far is normal."""

    def _loss(self, evidence: Tensor, targets: Tensor) -> Tensor:
        return -super()._loss(evidence, targets)


class Remembers(Far):
    """Each question changes the next answer."""

    asked_before = 0

    def _anomaly(self, features: Tensor) -> Tensor:
        self.asked_before += 1
        return super()._anomaly(features) * (-1) ** self.asked_before


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Forgets, "after load_state_dict the task does not work"),
        (Detached, "every case needs a gradient"),
        (Unchecked, "before fit must raise RuntimeError"),
        (Backwards, "must lower 'auroc'"),
        (Remembers, "must leave a task as it was|changes"),
    ],
)
def test_the_check_finds_it(kind: type[Task], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_task(kind())


def test_the_same_unbroken_passes() -> None:
    assert torch.is_tensor(NearestMean().fit(torch.eye(3), torch.arange(3)).means)
