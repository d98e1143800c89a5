"""The part of a card that records how a model was made: related models, the training run, and reference features."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self


@dataclass(frozen=True)
class ModelRef:
    """A reference to another model.

    Args:
        name: the name of the model.
        sha256: the digest of its weights; empty if it is unknown.
    """

    name: str
    sha256: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read the values that `as_dict` returns.

        Raises:
            KeyError, TypeError: for anything else.
        """
        return cls(str(values["name"]), str(values.get("sha256", "")))

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"name": self.name} | ({"sha256": self.sha256} if self.sha256 else {})


class HeadAccuracy(NamedTuple):
    """The accuracy of one kind of classifier on held-out images, clean and under PGD, in [0, 1]."""

    clean: float
    robust: float


@dataclass(frozen=True)
class Training:
    """The record of a training run. None means unknown.

    Args:
        step: the optimiser step of the best weights.
        held_out_clean: accuracy of the best weights on clean held-out images, in [0, 1].
        held_out_robust: accuracy of the best weights on held-out images under PGD, in [0, 1].
        cosine_clean: mean cosine of the best weights' features of clean held-out images to the teacher's, in [-1, 1].
        cosine_robust: the same of held-out images under PGD on this cosine, to the teacher's of the clean ones.
        images: the number of held-out images.
        heads: the accuracy of each kind of classifier that was compared.
        minutes: the duration of the run.
        teacher_seconds: the time spent on computing the teacher's outputs before training.
        steps: the optimiser steps of the run.
        epochs: the epochs of the run.
        images_per_s: training images per second.
        processes: the number of processes.
        environment: the machine and the versions of the software.
    """

    step: int | None = None
    held_out_clean: float | None = None
    held_out_robust: float | None = None
    cosine_clean: float | None = None
    cosine_robust: float | None = None
    images: int | None = None
    heads: Mapping[str, HeadAccuracy] | None = None
    minutes: float | None = None
    teacher_seconds: float | None = None
    steps: int | None = None
    epochs: float | None = None
    images_per_s: float | None = None
    processes: int | None = None
    environment: Mapping[str, str | int] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read the values that `as_dict` returns; entries of other versions are ignored."""
        known = {field.name for field in dataclasses.fields(cls)}
        found = {name: value for name, value in dict(values).items() if name in known}
        if "heads" in found:
            found["heads"] = {kind: HeadAccuracy(**accuracy) for kind, accuracy in found["heads"].items()}
        return cls(**found)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, without unknown entries."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        if self.heads is not None:
            known["heads"] = {kind: accuracy._asdict() for kind, accuracy in self.heads.items()}
        return known


@dataclass(frozen=True)
class Fixture:
    """Reference features of two synthetic images (`robustfeat.publishing.fixture`).

    Args:
        positions: the indices of the feature values that are kept for each image.
        features: the kept values, image by image.
        norms: the norm of all features of each image.
    """

    positions: tuple[int, ...]
    features: tuple[tuple[float, ...], ...]
    norms: tuple[float, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read the values that `as_dict` returns.

        Raises:
            KeyError, TypeError: for anything else.
        """
        features = tuple(tuple(map(float, one)) for one in values["features"])
        return cls(tuple(map(int, values["positions"])), features, tuple(map(float, values["norms"])))

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {name: list(values) for name, values in dataclasses.asdict(self).items()}
