"""Checks that a task refuses invalid input: training data that it cannot learn from, and cases that it cannot evaluate."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from robustfeat.tasks import Task


def check_unfitted(task: Task, features: Tensor, targets: Tensor) -> None:
    """Check that the methods of an unfitted task raise a RuntimeError whose message contains the word "fit".

    Args:
        task: an unfitted task.
        features: (n, d), valid features.
        targets: (n, ...), valid targets.

    Raises:
        AssertionError: if a method does not raise this error.
    """
    for use in _questions(task):
        _refused(use, features, targets, "before fit", RuntimeError, "fit")


def check_nothing_to_learn(task: Task, features: Tensor, targets: Tensor) -> None:
    """Check that `fit` raises a ValueError for invalid training data, on copies of the task.

    Args:
        task: an unfitted task, which stays unfitted.
        features: (m, d), valid features.
        targets: (m,), valid targets.

    Raises:
        AssertionError: if `fit` does not raise this error.
    """
    bad = [*_features(features, targets), *_targets(features, targets), ("no features", features[:0], targets[:0])]
    for what, wrong, of in bad:
        _refused(copy.deepcopy(task).fit, wrong, of, f"to learn from {what}", ValueError)


def check_nothing_to_ask(task: Task, features: Tensor, targets: Tensor) -> None:
    """Check that a fitted task raises a ValueError for invalid features and targets, and does not change by them.

    Args:
        task: a fitted task.
        features: (n, d), valid features.
        targets: (n, ...), valid targets.

    Raises:
        AssertionError: if a method does not raise this error, or the score of the valid features changes.
    """
    before = task.score(features, targets)
    narrow = ("features of another width", features[:, 1:], targets)
    for what, wrong, of in [narrow, *_features(features, targets), *_targets(features, targets)]:
        for use in _questions(task):
            _refused(use, wrong, of, f"about {what}", ValueError)
    _refused(task.score, features[:0], targets[:0], "for a score of nothing", ValueError)
    assert task.score(features, targets) == before, "a question that was refused must leave a task as it was"


def _questions(task: Task) -> list[Callable[[Any, Any], object]]:
    return [task.judge, task.loss, task.score]


def _features(features: Tensor, targets: Tensor) -> Iterator[tuple[str, Any, Any]]:
    for value in (torch.nan, torch.inf, -torch.inf):
        broken = features.clone()
        broken[-1, -1] = value
        yield f"a value {value}", broken, targets
    yield "features without a width", features.flatten(), targets
    yield "features with one dimension too many", features[None], targets
    yield "features that are integers", features.long(), targets
    yield "an array", features.numpy(), targets
    yield "a list", features.tolist(), targets


def _targets(features: Tensor, targets: Tensor) -> Iterator[tuple[str, Any, Any]]:
    yield "fewer targets than features", features, targets[:-1]
    yield "targets below 0", features, targets - targets.max() - 1
    yield "targets that are floats", features, targets.float()
    yield "a list of targets", features, targets.tolist()


def _refused(
    use: Callable[[Any, Any], object], features: Any, targets: Any, why: str, expected: type[Exception], word: str = ""
) -> None:
    name = getattr(use, "__name__", "it")
    try:
        use(features, targets)
    except expected as error:
        if word not in str(error):
            raise AssertionError(f"{name} {why} must say {word!r}, it said {error}") from error
        return
    except Exception as error:
        raise AssertionError(f"{name} {why} must raise {expected.__name__}, it raised {error!r}") from error
    raise AssertionError(f"{name} {why} must raise {expected.__name__}, it raised nothing")
