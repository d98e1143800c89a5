"""What a task is: features in; a decision, a score, and a per-example loss that an attack can raise."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from robustfeat.data import ImageDataset
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.checks import refuse
from robustfeat.numerics.types import Features, Logits, PerExample
from robustfeat.tasks.metrics.delong import Ranking


class Aim(NamedTuple):
    """Losses (n,) of features under attack, targets and clean features, by name.

    The first decides which of two attacks is worse; an attack may follow the gradient of another one.
    wins: whether the first is > 0 exactly where the defender has lost, and no further attack makes it worse.
    logits: where targets are classes and the largest of these is the decision.
    """

    losses: Mapping[str, Callable[[Features, Tensor, Features], PerExample]]
    wins: bool
    logits: Callable[[Features], Logits] | None = None


class Task(nn.Module, ABC):
    """Sees features only, so it can not forget normalisation or eps.

    A task is asked about cases: pairs of a row of the test set and a target. For most tasks a case is an image with its
    label; a task that judges an image several times (one detector per class) makes more of them.
    """

    name: ClassVar[str]
    novel_classes: ClassVar[bool] = False
    """Whether test labels may have classes that the training labels have not."""
    learns: ClassVar[bool] = True
    """Whether it learns from training images; one that does not is fitted on the test images, whose features are there."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Whatever a task does with targets, it sees them as int64."""
        super().__init_subclass__(**options)
        for name in ("fit", "judge", "loss"):
            if name in cls.__dict__:
                setattr(cls, name, _counting(cls.__dict__[name]))

    @property
    def title(self) -> str:
        """What it is called in a report."""
        return self.name

    @classmethod
    def from_text(cls, argument: str) -> Self:
        """What "name:argument" stands for; ValueError for a task that takes none."""
        raise ValueError(f"task {cls.name!r} takes no argument; give {cls.name!r} without {':' + argument!r}")

    def options(self) -> dict[str, str]:
        """The arguments of the constructor, as text."""
        return _options(self)

    def __repr__(self) -> str:
        """The options, and whether something is learnt."""
        return f"{_written(self)[:-1]}{', ' * bool(_options(self))}{'fitted' if self.state_dict() else 'not fitted'})"

    @abstractmethod
    def fit(self, features: Features, targets: Tensor) -> Self:
        """Learn from training features (m, d) and labels (m,)."""

    def fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features) -> Self:
        """Learn from training images and their features (m, d): for tasks that need more than the features."""
        for part in self.modules():
            if isinstance(part, Task):
                part.arrange(getattr(extractor, "grid", None))
        return self.fit(features, data.require_labels().to(features.device))

    def arrange(self, grid: Sequence[int] | None) -> None:
        """Told before `fit` of which maps (c, h, w) the features are the values, None for pooled ones; few tasks ask."""

    @abstractmethod
    def judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        """Per case what is needed to compute the metrics; by default one value per metric, whose mean is the metric."""

    @abstractmethod
    def loss(self, features: Features, targets: Tensor) -> PerExample:
        """Differentiable in the features; grows as the task fails, > 0 exactly when it failed, where that is defined."""

    def maps(self, features: Features, size: int) -> Tensor | None:
        """How anomalous each place of images is, (n, size, size), higher is more; None from a task that does not tell places."""
        return None

    def aims(self) -> dict[str, Aim]:
        """What an attack raises, by the metric it is about; "" is about all metrics.

        A metric without an aim is not reported under attack: moved by an attack on something else, it would look robust.
        """
        return {"": Aim({"loss": lambda features, targets, clean: self.loss(features, targets)}, wins=False)}

    def cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """Rows of the test set and their targets, each row equally often.

        labels: (n,) of the test set.  features: (n, d) of its clean images, for tasks that choose cases by them.
        """
        return torch.arange(len(labels)), labels

    def columns(self, targets: Tensor) -> dict[str, Tensor]:
        """Which cases an attacker controls, by the name of the column in the report; "" is the headline.

        Cases that are in no column are not attacked.
        """
        return {"": torch.ones(len(targets), dtype=torch.bool)}

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        """Metrics in [0, 1], larger is better for the defender; the first is the headline."""
        return {name: float(values.double().mean()) for name, values in judged.items()}

    def rankings(self, judged: dict[str, PerExample], targets: Tensor) -> list[Ranking]:
        """What a metric "auroc" is the mean over, for its interval; nothing where there is none."""
        return []

    def score(self, features: Features, targets: Tensor) -> dict[str, float]:
        """Metrics on features (n, d) with one target each."""
        if len(features) == 0:
            raise ValueError("there are no features to score")
        targets = class_numbers(targets)
        return self.summary(self.judge(features, targets), targets)

    def _require(self, fitted: object) -> None:
        if fitted is None:
            raise RuntimeError(f"{type(self).__name__} is not fitted; call fit first")


def _options(task: Task) -> dict[str, str]:
    """The arguments of the constructor, as text: of a task among them its own, whether it is fitted or not."""
    values = {key: getattr(task, key) for key in inspect.signature(type(task)).parameters}
    return {key: _written(value) if isinstance(value, Task) else repr(value) for key, value in values.items()}


def _written(task: Task) -> str:
    return f"{type(task).__name__}({', '.join(f'{key}={value}' for key, value in _options(task).items())})"


def class_numbers(targets: Any) -> Any:
    """Targets of any type of integers, or bools, as int64; ValueError for floats and for what is no tensor. None stays None."""
    if targets is None:
        return None
    if not isinstance(targets, Tensor):
        raise ValueError(f"targets must be a tensor of integer class numbers, got {type(targets).__name__}")
    if targets.is_floating_point() or targets.is_complex():
        raise ValueError(f"targets must be integer class numbers, got {targets.dtype} of shape {tuple(targets.shape)}")
    return targets.long()


def _counting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def with_class_numbers(self: Task, features: Features, *arguments: Any, **options: Any) -> Any:
        if arguments:
            arguments = class_numbers(arguments[0]), *arguments[1:]
        elif "targets" in options:
            options["targets"] = class_numbers(options["targets"])
        return method(self, features, *arguments, **options)

    return with_class_numbers


def check_features(features: Tensor, targets: Tensor | None = None, width: int | None = None) -> None:
    """ValueError unless features are finite floats (n, d) with one target >= 0 each (and of the fitted width)."""
    if not isinstance(features, Tensor) or features.ndim != 2 or not features.is_floating_point():
        what = (
            f"{features.dtype} of shape {tuple(features.shape)}"
            if isinstance(features, Tensor)
            else type(features).__name__
        )
        raise ValueError(f"features must be a float tensor (n, d), got {what}")
    if width is not None and features.shape[1] != width:
        raise ValueError(f"features have width {features.shape[1]}, the task was fitted on width {width}")
    if targets is not None and len(targets) != len(features):
        raise ValueError(f"{len(features)} features but {len(targets)} targets")
    refuse(~torch.isfinite(features.detach()).all(), lambda: ValueError("features contain NaN or infinite values"))
    if targets is not None and len(targets):
        least = targets.min()
        refuse(least < 0, lambda: ValueError(f"targets must not be negative, got {int(least)}"))


def check_fit(features: Tensor, targets: Tensor) -> None:
    """As `check_features`, and there is something to learn from."""
    check_features(features, targets)
    if len(features) == 0:
        raise ValueError("there are no features to fit on")
    if targets.ndim != 1:
        raise ValueError(f"targets must be integer class numbers (n,), got shape {tuple(targets.shape)}")
