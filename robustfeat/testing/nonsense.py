"""Nonsense that every task must refuse, whatever it is: what nothing can be learnt from, and what nothing can be asked about."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from robustfeat.tasks import Task


def check_unfitted(task: Task, features: Tensor, targets: Tensor) -> None:
    """RuntimeError, and the word fit, for whatever an unfitted task is asked."""
    for use in _questions(task):
        _refused(use, features, targets, "before fit", RuntimeError, "fit")


def check_nothing_to_learn(task: Task, features: Tensor, targets: Tensor) -> None:
    """ValueError where there is nothing to learn from; the task is not fitted by it."""
    bad = [*_features(features, targets), *_targets(features, targets), ("no features", features[:0], targets[:0])]
    for what, wrong, of in bad:
        _refused(copy.deepcopy(task).fit, wrong, of, f"to learn from {what}", ValueError)


def check_nothing_to_ask(task: Task, features: Tensor, targets: Tensor) -> None:
    """ValueError for features and targets that do not fit a fitted task, which is as it was afterwards."""
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
