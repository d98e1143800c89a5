"""The base class of tasks, which compute from features a decision, a score, and a per-example loss that an attack can raise."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor, nn

from robustfeat.data import ImageDataset
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.checks import together
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks.aim import Aim
from robustfeat.tasks.checks import check_features, check_finite, class_numbers, to_learn_from
from robustfeat.tasks.metrics.delong import Ranking


class Task(nn.Module, ABC):
    """The base class of tasks; a task sees features only, so normalisation and eps cannot be forgotten.

    Subclasses implement `_fit`, `_judge` and `_loss`, whose arguments are already checked. Features are finite floats (n, d), of
    the fitted width and precision; targets are int64, one row for each feature, none negative. Learnt values belong in buffers
    (`register_buffer(name, None)` until `_fit`), so that a fitted task can be moved, copied and saved; `_restore` computes
    whatever follows from the buffers and is not a buffer itself.

    A task is measured on cases, which are pairs of a row of the test set and a target. For most tasks a case is an image with its
    label; a task that judges an image several times (one detector per class) makes several cases of it.

    Attributes:
        width: the width of the features that it was fitted on; None until `fit`, 0 if unknown.
    """

    name: ClassVar[str]
    novel_classes: ClassVar[bool] = False
    """Whether test labels may have classes that the training labels lack."""
    learns: ClassVar[bool] = True
    """Whether it learns from training images; otherwise `fit` gets the test images, whose features are already computed."""

    def __init__(self) -> None:
        super().__init__()
        self.width: int | None = None

    @property
    def title(self) -> str:
        """The title of the task in a report: its name, and its argument where there is one."""
        return f"{self.name}:{self.argument}" if self.argument else self.name

    @property
    def argument(self) -> str:
        """The argument from which `from_text` makes this task again; empty for the default, and for a task without argument."""
        return ""

    @classmethod
    def from_text(cls, argument: str) -> Self:
        """Return the unfitted task for "name:argument"; a task without argument raises ValueError."""
        raise ValueError(f"task {cls.name!r} takes no argument; give {cls.name!r} without {':' + argument!r}")

    def options(self) -> dict[str, str]:
        """Return the arguments of the constructor as text."""
        return _options(self)

    def __repr__(self) -> str:
        """Return the options, and whether the task is fitted."""
        return f"{_written(self)[:-1]}{', ' * bool(_options(self))}{'not fitted' if self.width is None else 'fitted'})"

    def fit(self, features: Features, targets: Tensor) -> Self:
        """Fit the task on training features (m, d) and labels (m,); invalid or insufficient data raises ValueError."""
        self._fit(features, to_learn_from(features, targets))
        self._fitted(features)
        return self

    @final
    def fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features) -> Self:
        """Fit the task on training images and their features (m, d), for tasks that need more than the features."""
        for part in self.modules():
            if isinstance(part, Task):
                part.arrange(getattr(extractor, "grid", None))
        targets = to_learn_from(features, data.require_labels().to(features.device))
        self._fit_on(extractor, data, features, targets)
        self._fitted(features)
        return self

    def arrange(self, grid: Sequence[int] | None) -> None:
        """Receive, before `fit`, the shape (c, h, w) of the feature maps in the features; None for pooled features."""

    @final
    def judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        """Return the values per case from which metrics are computed; by default one per metric, whose mean is the metric.

        Raises:
            RuntimeError: before `fit`; `loss` and `score` raise the same errors.
            ValueError: for features or targets that do not match the task.
        """
        return self._judge(*self._checked(features, targets))

    @final
    def loss(self, features: Features, targets: Tensor) -> PerExample:
        """Return a loss (n,), differentiable in the features, that grows as the task fails; > 0 exactly on failure if defined."""
        features, targets = self._checked(features, targets)
        return self._loss(self._evidence(features), targets)

    @final
    def score(self, features: Features, targets: Tensor) -> dict[str, float]:
        """Return the metrics on features (n, d) with one target each."""
        features, targets = self._checked(features, targets)
        if len(features) == 0:
            raise ValueError("there are no features to score")
        return self.summary(self._judge(features, targets), targets)

    @final
    def evidence(self, features: Features) -> Any:
        """Return what decisions are based on, differentiable in the features: class scores, similarities or anomaly scores.

        An attack calls it in every step and has been checked by `asked`, so it checks only that features are finite.
        """
        check_finite(features)
        return self._evidence(self._as_learnt(features))

    @final
    def asked(self, clean: Features, targets: Tensor) -> Tensor:
        """Return the second argument of the losses of `aims`, a row per case: targets, and values from the clean features.

        All input of an attack is checked here, once.
        """
        return self._asked(*self._checked(clean, targets))

    def maps(self, features: Features, size: int) -> Tensor | None:
        """Return anomaly maps (n, size, size), higher for more anomalous pixels; None for a task that has no maps."""
        return None

    def aims(self) -> dict[str, Aim]:
        """Return the aims of attacks by the metric that they target; "" targets all metrics.

        A metric without an aim is not reported under attack, since it would look robust under an attack on another metric.
        """
        return {"": Aim(self, {"loss": self._loss}, wins=False)}

    @final
    def cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """Return rows of the test set and their targets, each row equally often.

        Args:
            labels: (n,), the labels of the test set.
            features: (n, d), the features of its clean images, for tasks that choose cases by them.
        """
        features, labels = self._seen(features), class_numbers(labels, len(features))
        return self._cases(labels, features)

    def columns(self, targets: Tensor) -> dict[str, Tensor]:
        """Return which cases an attacker controls, by column of the report ("" is the headline); other cases stay clean."""
        return {"": torch.ones(len(targets), dtype=torch.bool)}

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        """Return the metrics, in [0, 1], larger is better for the defender; the first is the headline."""
        return {name: float(values.double().mean()) for name, values in judged.items()}

    def rankings(self, judged: dict[str, PerExample], targets: Tensor) -> list[Ranking]:
        """Return the rankings over which a metric "auroc" is the mean, for its interval; empty without this metric."""
        return []

    @abstractmethod
    def _fit(self, features: Features, targets: Tensor) -> Any:
        """Learn from features (m, d), m at least 1, and labels (m,); the return value is ignored."""

    def _fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features, targets: Tensor) -> Any:
        """Learn from images; by default from their features."""
        return self._fit(features, targets)

    @abstractmethod
    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        """See `judge`."""

    @abstractmethod
    def _loss(self, evidence: Any, targets: Tensor) -> PerExample:
        """See `loss`; `evidence` is the features for a task without `_evidence`."""

    def _evidence(self, features: Features) -> Any:
        """See `evidence`, which is computed once for all losses."""
        return features

    def _asked(self, clean: Features, targets: Tensor) -> Tensor:
        """See `asked`."""
        return targets

    def _cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """See `cases`."""
        return torch.arange(len(labels)), labels

    def _check_targets(self, targets: Tensor) -> None:
        """Raise ValueError for targets (n, ...) that are invalid for this task."""

    def _restore(self) -> None:
        """Compute what follows from the buffers after they were loaded, such as an index, or parts whose number was learnt."""

    def _fitted(self, features: Features) -> None:
        """Store the width of the training features."""
        self.width = features.shape[1]

    def _unfitted(self) -> RuntimeError:
        return RuntimeError(f"{type(self).__name__} is not fitted; call fit first")

    def _seen(self, features: Features) -> Features:
        """Check features, and return them in the learnt precision."""
        if self.width is None:
            raise self._unfitted()
        check_features(features, self.width or None)
        return self._as_learnt(features)

    def _checked(self, features: Features, targets: Tensor) -> tuple[Features, Tensor]:
        """Check features and targets, with all checks of values evaluated together, and return them as the hooks get them."""
        with together():
            features = self._seen(features)
            targets = class_numbers(targets, len(features))
            self._check_targets(targets)
        return features, targets

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.width is not None:
            destination[prefix + "width"] = torch.tensor(self.width)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Load a state, also into an unfitted task or one fitted on other data; buffers get their size from the state."""
        width = state_dict.pop(prefix + "width", None)
        self.width = None if width is None else int(width)
        for name in self._buffers:
            if (value := state_dict.get(prefix + name)) is not None:
                self._buffers[name] = torch.empty_like(value)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        if self.width is not None:
            self._restore()

    def _as_learnt(self, features: Features) -> Features:
        learnt = next((part.dtype for part in self.buffers() if part.is_floating_point()), features.dtype)
        return features.to(learnt)


def _options(task: Task) -> dict[str, str]:
    """Return the arguments of the constructor as text; an argument that is a task is shown with its own arguments."""
    values = {key: getattr(task, key) for key in inspect.signature(type(task)).parameters}
    return {key: _written(value) if isinstance(value, Task) else repr(value) for key, value in values.items()}


def _written(task: Task) -> str:
    return f"{type(task).__name__}({', '.join(f'{key}={value}' for key, value in _options(task).items())})"
