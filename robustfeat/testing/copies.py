"""Checks that a fitted task gives the same results after copying, pickling and loading of its state."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import Tensor

from robustfeat.tasks import AnomalyDetector, Task


def check_copies(task: Task, fresh: Task, features: Tensor, targets: Tensor) -> None:
    """Check that copies of a fitted task give bitwise equal results.

    The copies are a deep copy, a pickled task, and an unfitted task into which the state of the fitted task is loaded.

    Args:
        task: a fitted task.
        fresh: an unfitted task with the same options.
        features: (n, d), features to test with.
        targets: (n, ...), their targets.

    Raises:
        AssertionError: if a copy gives other results.
    """
    if isinstance(task, AnomalyDetector):
        task = copy.deepcopy(task).calibrate(features)
    loaded = copy.deepcopy(fresh)
    loaded.load_state_dict(task.state_dict())
    # Our own bytes, as workers of a DataLoader and joblib get them; nothing is read that somebody else wrote.
    sent = pickle.loads(pickle.dumps(task))
    for how, other in {"deepcopy": copy.deepcopy(task), "pickle": sent, "load_state_dict": loaded}.items():
        _same(task, other, features, targets, how)
    again = copy.deepcopy(task)
    again.load_state_dict(sent.state_dict())
    _same(task, again, features, targets, "load_state_dict into a fitted task")


def check_types(task: Task, features: Tensor, targets: Tensor) -> None:
    """Check that targets of all integer types give equal results, and that features in double precision give close results.

    Args:
        task: a fitted task.
        features: (n, d), features to test with.
        targets: (n, ...), their targets, int64.

    Raises:
        AssertionError: if the results differ.
    """
    loss, judged = task.loss(features, targets), task.judge(features, targets)
    for dtype in (torch.int16, torch.int32):
        assert torch.equal(task.loss(features, targets.to(dtype)), loss), f"targets of {dtype} must mean the same"
        assert _equal(task.judge(features, targets.to(dtype)), judged), f"targets of {dtype} must mean the same"
    wide = task.loss(features.double(), targets)
    assert torch.allclose(wide.to(loss), loss, rtol=1e-3, atol=1e-4), "features in double precision must mean the same"


def _same(task: Task, other: Task, features: Tensor, targets: Tensor, how: str) -> None:
    try:
        loss = other.loss(features, targets)
    except Exception as error:
        raise AssertionError(
            f"after {how} the task does not work ({error!r}); keep what is learnt in buffers"
        ) from error
    assert torch.equal(loss, task.loss(features, targets)), f"{how} changes the loss"
    assert _equal(other.judge(features, targets), task.judge(features, targets)), f"{how} changes what is judged"
    assert other.options() == task.options(), f"{how} changes the options"
    assert set(other.aims()) == set(task.aims()), f"{how} changes the aims"
    if isinstance(task, AnomalyDetector) and isinstance(other, AnomalyDetector):
        assert torch.equal(other.predict(features), task.predict(features)), f"{how} changes the threshold"


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Return whether the values are equal, where NaN (a case without a value) equals itself."""
    return one.keys() == other.keys() and all(
        torch.equal(value.nan_to_num(-1), other[name].nan_to_num(-1)) for name, value in one.items()
    )
