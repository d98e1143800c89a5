"""What a task is: features in; a decision, a score, and a per-example loss that an attack can raise."""

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
    """Sees features only, so it cannot forget normalisation or eps.

    Give `_fit`, `_judge` and `_loss`: what they get is checked already. Features are finite floats (n, d), of the width and in
    the precision that was learnt; targets are int64, one row for each feature, none negative. What is learnt belongs in buffers
    (`register_buffer(name, None)` until `_fit`), which is how a fitted task is moved, copied and saved; what follows from
    buffers and is none is made in `_restore`.

    A task is measured on cases: pairs of a row of the test set and a target. For most tasks a case is an image with its
    label; a task that judges an image several times (one detector per class) makes more of them.

    width: of the features it was fitted on; None until `fit`, 0 where it is not known.
    """

    name: ClassVar[str]
    novel_classes: ClassVar[bool] = False
    """Whether test labels may have classes that the training labels have not."""
    learns: ClassVar[bool] = True
    """Whether it learns from training images; one that does not is fitted on the test images, whose features are there."""

    def __init__(self) -> None:
        super().__init__()
        self.width: int | None = None

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
        return f"{_written(self)[:-1]}{', ' * bool(_options(self))}{'not fitted' if self.width is None else 'fitted'})"

    def fit(self, features: Features, targets: Tensor) -> Self:
        """Learn from training features (m, d) and labels (m,); ValueError for what nothing can be learnt from."""
        self._fit(features, to_learn_from(features, targets))
        self._fitted(features)
        return self

    @final
    def fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features) -> Self:
        """Learn from training images and their features (m, d): for tasks that need more than the features."""
        for part in self.modules():
            if isinstance(part, Task):
                part.arrange(getattr(extractor, "grid", None))
        targets = to_learn_from(features, data.require_labels().to(features.device))
        self._fit_on(extractor, data, features, targets)
        self._fitted(features)
        return self

    def arrange(self, grid: Sequence[int] | None) -> None:
        """Receive, before `fit`, the shape (c, h, w) of the maps that the features are made of; None for pooled features."""

    @final
    def judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        """Per case what is needed to compute the metrics; by default one value per metric, whose mean is the metric.

        Raises RuntimeError before `fit`, ValueError for features and targets that do not fit; so do `loss` and `score`.
        """
        return self._judge(*self._checked(features, targets))

    @final
    def loss(self, features: Features, targets: Tensor) -> PerExample:
        """Differentiable in the features; grows as the task fails, > 0 exactly when it failed, where that is defined."""
        features, targets = self._checked(features, targets)
        return self._loss(self._evidence(features), targets)

    @final
    def score(self, features: Features, targets: Tensor) -> dict[str, float]:
        """Metrics on features (n, d) with one target each."""
        features, targets = self._checked(features, targets)
        if len(features) == 0:
            raise ValueError("there are no features to score")
        return self.summary(self._judge(features, targets), targets)

    @final
    def evidence(self, features: Features) -> Any:
        """What the task decides by, differentiable in the features: class scores, similarities, anomaly scores.

        A step on the way of an attack, which has been checked by `asked`: here only that features are finite.
        """
        check_finite(features)
        return self._evidence(self._as_learnt(features))

    @final
    def asked(self, clean: Features, targets: Tensor) -> Tensor:
        """What the losses of `aims` are asked about cases, a row for each: their targets, and what follows from the features of
        their clean images. All that an attack hands in is checked here, once.
        """
        return self._asked(*self._checked(clean, targets))

    def maps(self, features: Features, size: int) -> Tensor | None:
        """How anomalous each place of images is, (n, size, size), higher is more; None from a task that does not tell places."""
        return None

    def aims(self) -> dict[str, Aim]:
        """What an attack raises, by the metric it is about; "" is about all metrics.

        A metric without an aim is not reported under attack: moved by an attack on something else, it would look robust.
        """
        return {"": Aim(self, {"loss": self._loss}, wins=False)}

    @final
    def cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """Rows of the test set and their targets, each row equally often.

        labels: (n,) of the test set.  features: (n, d) of its clean images, for tasks that choose cases by them.
        """
        features, labels = self._seen(features), class_numbers(labels, len(features))
        return self._cases(labels, features)

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

    @abstractmethod
    def _fit(self, features: Features, targets: Tensor) -> Any:
        """Learn from features (m, d), m at least 1, and labels (m,). What it returns is of no matter."""

    def _fit_on(self, extractor: FeatureExtractor, data: ImageDataset, features: Features, targets: Tensor) -> Any:
        """The same from images; by default from their features."""
        return self._fit(features, targets)

    @abstractmethod
    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        """See `judge`."""

    @abstractmethod
    def _loss(self, evidence: Any, targets: Tensor) -> PerExample:
        """See `loss`; of the features themselves for a task without `_evidence`."""

    def _evidence(self, features: Features) -> Any:
        """See `evidence`: what several losses share, and is computed once for them."""
        return features

    def _asked(self, clean: Features, targets: Tensor) -> Tensor:
        """See `asked`."""
        return targets

    def _cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """See `cases`."""
        return torch.arange(len(labels)), labels

    def _check_targets(self, targets: Tensor) -> None:
        """ValueError for targets (n, ...) that this task cannot be asked about."""

    def _restore(self) -> None:
        """Make what follows from the buffers, after they were loaded: an index, parts whose number was learnt."""

    def _fitted(self, features: Features) -> None:
        """Remember what was learnt from."""
        self.width = features.shape[1]

    def _unfitted(self) -> RuntimeError:
        return RuntimeError(f"{type(self).__name__} is not fitted; call fit first")

    def _seen(self, features: Features) -> Features:
        """Features as the hooks get them."""
        if self.width is None:
            raise self._unfitted()
        check_features(features, self.width or None)
        return self._as_learnt(features)

    def _checked(self, features: Features, targets: Tensor) -> tuple[Features, Tensor]:
        """Features and targets as the hooks get them; what is wrong with their values is looked at together."""
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
        """Also into a task that is not fitted, or on other data: buffers become as large as they are in the state."""
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
    """The arguments of the constructor, as text: of a task among them its own, whether it is fitted or not."""
    values = {key: getattr(task, key) for key in inspect.signature(type(task)).parameters}
    return {key: _written(value) if isinstance(value, Task) else repr(value) for key, value in values.items()}


def _written(task: Task) -> str:
    return f"{type(task).__name__}({', '.join(f'{key}={value}' for key, value in _options(task).items())})"
