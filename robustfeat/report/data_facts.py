"""What is said about the images that a model or a task has learnt from, and about those that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from robustfeat.data import ImageDataset


@dataclass(frozen=True)
class DataFacts:
    """A data set by its name.

    split: what was read of it, where that is known.  images: how many.  fingerprint: of their pixels and labels.
    in_train: how many of the measured images were learnt from as well.  note: a sentence about them; empty for none.
    """

    name: str
    images: int
    fingerprint: str = ""
    split: str = ""
    in_train: int = 0
    note: str = ""

    @classmethod
    def of(cls, data: ImageDataset, *, split: str = "", in_train: int = 0, note: str = "") -> Self:
        """Of a data set that is there."""
        return cls(data.name, len(data), data.fingerprint, split, in_train, note)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`. Raises KeyError or TypeError for anything else."""
        parts = {_attribute(key): value for key, value in dict(values).items()}
        return cls(str(parts.pop("name")), int(parts.pop("images")), **parts)

    def as_dict(self) -> dict[str, Any]:
        """JSON values, without what is not known."""
        known = {"name": self.name, "split": self.split, "images": self.images, "fingerprint": self.fingerprint}
        known |= {"in train": self.in_train, "note": self.note}
        return {key: value for key, value in known.items() if value or key == "images"}

    def __str__(self) -> str:
        return f"{self.images} images of {self.name}"


@dataclass(frozen=True)
class Splits:
    """The images that tasks have learnt from, and those that were measured; None where a report does not say."""

    train: DataFacts | None = None
    test: DataFacts | None = None

    def known(self) -> Iterator[tuple[str, DataFacts]]:
        """Those that a report has, by "train" and "test"."""
        yield from ((kind, facts) for kind, facts in vars(self).items() if facts is not None)

    @property
    def fingerprints(self) -> tuple[str, str]:
        """Of both; empty where it is not known."""
        return tuple("" if facts is None else facts.fingerprint for facts in (self.train, self.test))  # type: ignore[return-value]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`. Raises KeyError, TypeError or AttributeError for anything else."""
        return cls(**{kind: DataFacts.from_dict(facts) for kind, facts in values.items()})

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {kind: facts.as_dict() for kind, facts in self.known()}


def _attribute(key: str) -> str:
    return key.replace(" ", "_")
