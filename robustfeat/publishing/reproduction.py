"""This module compares published numbers with reproduced ones, and states whether each lies in its interval."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from robustfeat.report import Row, aligned

MINUTES = 10.0  # to measure a sample again
SPREAD = 0.02  # what another seed, processor or version may change in a number, on top of its interval: an assumption


@dataclass(frozen=True)
class Number:
    """A published number and the reproduced one, which should lie in [low, high].

    Args:
        data: the name of the measured data set.
        under: the attack and the column, as named in the report.
        published: the published row.
        found: the reproduced row.
        low: the lower bound; None if the two cannot be compared.
        high: the upper bound; None if the two cannot be compared.
    """

    data: str
    under: str
    published: Row
    found: Row
    low: float | None = None
    high: float | None = None

    @property
    def outside(self) -> bool:
        """Whether the numbers can be compared and the reproduced one is out of bounds."""
        return self.low is not None and self.high is not None and not self.low <= self.found.value <= self.high


@dataclass(frozen=True)
class Reproduction:
    """The result of a reproduction.

    Args:
        model: the name of the model.
        numbers: the published numbers with the reproduced ones.
        notes: remarks, such as what was left out.
        same_features: whether two synthetic images have the features in the card; None if the card has none.
    """

    model: str
    numbers: tuple[Number, ...]
    notes: tuple[str, ...]
    same_features: bool | None = None

    @property
    def agrees(self) -> bool:
        """Whether the features do not differ and no number is outside."""
        return self.same_features is not False and not any(number.outside for number in self.numbers)

    def __str__(self) -> str:
        lines = [["data", "task", "metric", "attack", "published", "n", "here", "n", "should lie in", ""]]
        compared = [number for number in self.numbers if number.low is not None]
        for number in compared:
            row, found = number.published, number.found
            expected = f"[{number.low:.3f}, {number.high:.3f}]"
            verdict = "OUTSIDE" if number.outside else "inside"
            where = [number.data, row.task, row.metric, number.under]
            lines.append(
                [*where, f"{row.value:.3f}", str(row.n), f"{found.value:.3f}", str(found.n), expected, verdict]
            )
        notes = list(self.notes)
        if others := dict.fromkeys(number.published.metric for number in self.numbers if number.low is None):
            notes.append(f"{', '.join(others)}: depend on how many images there are, compared only where these are all")
        outside = sum(number.outside for number in compared)
        same = {None: [], True: ["two synthetic images: the features of the card"]}
        features = same.get(
            self.same_features, ["! two synthetic images: NOT the features of the card; this is another model"]
        )
        verdict = f"{self.model}: {len(compared)} numbers compared, {outside} outside"
        return "\n".join([aligned(lines), "", *features, *notes, verdict])

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        values = dataclasses.asdict(self) | {"agrees": self.agrees}
        for number, held in zip(self.numbers, values["numbers"], strict=True):
            held["outside"] = number.outside
        return values
