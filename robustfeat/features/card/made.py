"""How a model was made, as its card says it: by whom it was taught, how training went, and what features must come out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self


@dataclass(frozen=True)
class ModelRef:
    """Another model: its name, and the sha256 of its weights; empty where that is not known."""

    name: str
    sha256: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`. Raises KeyError or TypeError for anything else."""
        return cls(str(values["name"]), str(values.get("sha256", "")))

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"name": self.name} | ({"sha256": self.sha256} if self.sha256 else {})


class HeadAccuracy(NamedTuple):
    """Of one kind of classifier on held-out images, clean and under PGD."""

    clean: float
    robust: float


@dataclass(frozen=True)
class Training:
    """What a run did; None is not known.

    step: of the best weights.  held_out_clean, held_out_robust: their accuracy on `images` held-out images, clean and under PGD.
    heads: of the kinds of classifiers that were tried.  minutes: of the run.
    teacher_seconds: that the teacher's outputs took before training.
    steps, epochs, images_per_s, processes, environment: of the run.
    """

    step: int | None = None
    held_out_clean: float | None = None
    held_out_robust: float | None = None
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
        """The inverse of `as_dict`; what other versions say besides is passed over."""
        known = {field.name for field in dataclasses.fields(cls)}
        found = {name: value for name, value in dict(values).items() if name in known}
        if "heads" in found:
            found["heads"] = {kind: HeadAccuracy(**accuracy) for kind, accuracy in found["heads"].items()}
        return cls(**found)

    def as_dict(self) -> dict[str, Any]:
        """JSON values, without what is not known."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        if self.heads is not None:
            known["heads"] = {kind: accuracy._asdict() for kind, accuracy in self.heads.items()}
        return known


@dataclass(frozen=True)
class Fixture:
    """Features of two synthetic images (`robustfeat.publishing.fixture`).

    positions: of the numbers that are kept of each.  features: those numbers, image by image.  norms: of all features.
    """

    positions: tuple[int, ...]
    features: tuple[tuple[float, ...], ...]
    norms: tuple[float, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`. Raises KeyError or TypeError for anything else."""
        features = tuple(tuple(map(float, one)) for one in values["features"])
        return cls(tuple(map(int, values["positions"])), features, tuple(map(float, values["norms"])))

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {name: list(values) for name, values in dataclasses.asdict(self).items()}
