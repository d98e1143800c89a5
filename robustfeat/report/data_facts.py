"""This module describes the images that a model or a task was trained on, and those that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from robustfeat.data import ImageDataset


@dataclass(frozen=True)
class DataFacts:
    """The facts about a data set in a report or a card.

    Args:
        name: the name of the data set.
        images: the number of images.
        fingerprint: the fingerprint of pixels and labels.
        split: the split that was read, where recorded.
        in_train: the number of measured images that are also training images.
        note: a sentence about the images; empty for none.
    """

    name: str
    images: int
    fingerprint: str = ""
    split: str = ""
    in_train: int = 0
    note: str = ""

    @classmethod
    def of(cls, data: ImageDataset, *, split: str = "", in_train: int = 0, note: str = "") -> Self:
        """Return the facts about a loaded data set."""
        return cls(data.name, len(data), data.fingerprint, split, in_train, note)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parse the result of `as_dict`.

        Raises:
            KeyError: for missing entries.
            TypeError: for anything else.
        """
        parts = {_attribute(key): value for key, value in dict(values).items()}
        return cls(str(parts.pop("name")), int(parts.pop("images")), **parts)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, without empty entries."""
        known = {"name": self.name, "split": self.split, "images": self.images, "fingerprint": self.fingerprint}
        known |= {"in train": self.in_train, "note": self.note}
        return {key: value for key, value in known.items() if value or key == "images"}

    def __str__(self) -> str:
        return f"{self.images} images of {self.name}"


@dataclass(frozen=True)
class Splits:
    """The images that tasks were trained on, and those that were measured.

    Args:
        train: the training images; None if a report does not record them.
        test: the measured images; None if a report does not record them.
    """

    train: DataFacts | None = None
    test: DataFacts | None = None

    def known(self) -> Iterator[tuple[str, DataFacts]]:
        """Yield the recorded facts, by "train" and "test"."""
        yield from ((kind, facts) for kind, facts in vars(self).items() if facts is not None)

    @property
    def fingerprints(self) -> tuple[str, str]:
        """The fingerprints of both; empty where not recorded."""
        return tuple("" if facts is None else facts.fingerprint for facts in (self.train, self.test))  # type: ignore[return-value]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parse the result of `as_dict`.

        Raises:
            KeyError: for missing entries.
            TypeError: for values of another type.
            AttributeError: if `values` is not a mapping.
        """
        return cls(**{kind: DataFacts.from_dict(facts) for kind, facts in values.items()})

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {kind: facts.as_dict() for kind, facts in self.known()}


def _attribute(key: str) -> str:
    return key.replace(" ", "_")
