"""This module defines the result of an evaluation and its file format."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from robustfeat.numerics.eps import Eps
from robustfeat.report import cases
from robustfeat.report.cases import CaseKey
from robustfeat.report.data_facts import Splits
from robustfeat.report.first_format import case_key
from robustfeat.report.parsing import FORMAT, parsed
from robustfeat.report.ran import Ran
from robustfeat.report.row import CLEAN, Row, Sized
from robustfeat.report.setup import Setup
from robustfeat.report.shown import Shown
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import check_suffix, write_text

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".json", ".md")  # of the files that a report is written to


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """The measured rows of one model, with an exact record of what was run.

    Args:
        model: the name of the model.
        data: the images of training and measurement.
        threat: the threat model of the attacks.
        rows: the measured numbers.
        attacks: the configuration of each attack at each size.
        environment: versions and machine.
        weights: sha256 of the measured weights (`FeatureExtractor.digest`).
        runs: one per task and attack.
        features: the effect of an attack on the features themselves (`evaluation.description`), if it was measured.
        cases: a value per case, with the image and the target of each case, by which two models are compared. They are written
            next to the report, as *.cases.safetensors.
        setup: the settings that the numbers depend on, sufficient to repeat the measurement; None if they were not recorded.
        notes: remarks about the model, in sentences.
    """

    model: str
    data: Splits
    threat: str
    rows: tuple[Row, ...]
    attacks: dict[Sized, str] = field(default_factory=dict)
    environment: dict[str, str | int] = field(default_factory=dict)
    weights: str = ""
    runs: tuple[Ran, ...] = ()
    features: dict[str, float] = field(default_factory=dict)
    cases: dict[CaseKey, Tensor] = field(default_factory=dict, compare=False, repr=False)
    setup: Setup | None = None
    notes: tuple[str, ...] = ()

    @property
    def measured_on(self) -> str:
        """The name of the measured data set."""
        return "unknown data" if self.data.test is None else self.data.test.name

    @property
    def patches(self) -> bool:
        """Whether the features were maps of the middle stages."""
        return self.setup is not None and self.setup.patches

    @property
    def flagged(self) -> tuple[Ran, ...]:
        """The runs with a sign that the attack failed, so that their numbers overestimate the model."""
        return tuple(ran for ran in self.runs if ran.flags)

    def warnings(self) -> tuple[str, ...]:
        """Return the remarks about the model, the number of test images in the training data, and the flags, one line each."""
        test = self.data.test
        known = (
            ()
            if test is None or not test.in_train
            else (f"{test.in_train} of the {test.images} test images are among the training images, pixel by pixel",)
        )
        return (
            self.notes
            + known
            + tuple(
                f"{ran.what} under {self.label(*ran.sized)}: {flag.check}: {flag.value:.3g} {flag.text}"
                for ran in self.flagged
                for flag in ran.flags
            )
        )

    def doubts(self) -> tuple[str, ...]:
        """Return why numbers may overestimate the model, one line each: the flags, and the attacks without health checks."""
        ran = {(ran.task, ran.sized) for ran in self.runs}
        blind = [(ran.what, self.label(*ran.sized)) for ran in self.runs if ran.examined == 0]
        blind += [
            (f"{row.task} {row.metric}", self.label(*row.sized, row.column))
            for row in self.rows
            if row.attack != CLEAN and (row.task, row.sized) not in ran
        ]
        unchecked = [f"{what} under {attack}: not checked for masked gradients" for what, attack in blind]
        return self.warnings() + tuple(unchecked)

    def sizes(self, attack: str) -> tuple[Eps | None, ...]:
        """Return the sizes of an attack in the order of its runs; of several, each starts from the result of the one before."""
        return tuple(eps for name, eps in self.attacks if name == attack)

    def label(self, attack: str, eps: Eps | None = None, column: str = "") -> str:
        """Return the displayed name of a row: "pgd", "pgd/normal" for a column, "pgd@8/255" for one size of several."""
        rung = f"{attack}@{eps}" if len(self.sizes(attack)) > 1 else attack
        return f"{rung}/{column}" if column else rung

    def rows_at(
        self, task: str, metric: str, attack: str = CLEAN, eps: float | None = None, column: str = ""
    ) -> list[Row]:
        """Return the rows of a metric under an attack: one, or those of all its sizes if eps is None."""
        return [
            row
            for row in self.rows
            if (row.task, row.metric, row.attack, row.column) == (task, metric, attack, column)
            and (eps is None or row.eps in (None, eps))
        ]

    def like(self, row: Row) -> Row | None:
        """Return the row of this report that corresponds to a row of another report, or None."""
        found = self.rows_at(row.task, row.metric, row.attack, row.eps, row.column)
        return found[0] if len(found) == 1 else None

    def value(self, task: str, metric: str, attack: str = CLEAN, eps: float | None = None, column: str = "") -> float:
        """Return one number of the report; `eps` selects the size of an attack that was run at several.

        Raises:
            KeyError: if it was not measured, or the attack has several sizes and none is given.
        """
        found = self.rows_at(task, metric, attack, eps, column)
        if len(found) == 1:
            return found[0].value
        place = f"{metric!r} of task {task!r} under {attack!r}" + (f", only {column} attacked" if column else "")
        if found:
            raise KeyError(
                f"the report has {place} at eps {', '.join(str(row.eps) for row in found)}; name one of them"
            )
        raise KeyError(f"the report has no {place}" + ("" if eps is None else f" at eps {Eps(eps)}"))

    def judged(self, row: Row) -> dict[str, Tensor]:
        """Return the values per case behind one of its rows, by the names that the task gives them."""
        place = row.task, *row.sized, row.column
        return {
            key.kept: values
            for key, values in self.cases.items()
            if (key.task, key.attack, key.eps, key.column) == place
        }

    def to_json(self) -> str:
        """Return the text of report.json."""
        return json.dumps(self.as_dict(), indent=2) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, without the cases."""
        values = dataclasses.asdict(dataclasses.replace(self, cases={}, attacks={}))
        del values["cases"]
        return (
            {"format": FORMAT}
            | values
            | {
                "data": self.data.as_dict(),
                "attacks": [sized._asdict() | {"configuration": text} for sized, text in self.attacks.items()],
                "setup": {} if self.setup is None else self.setup.as_dict(),
            }
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write report.json atomically with the cases next to it; the cases of a replaced report are removed.

        For a name that ends in .md the tables are written as Markdown, which `load` does not read.

        Raises:
            ValueError: for other suffixes.
        """
        place, text = check_suffix(path, *SUFFIXES, what="reports"), self.to_json()
        if place.suffix.lower() == ".md":
            from robustfeat.report.words import markdown  # which needs to know what a report is

            return write_text(place, markdown(self))
        old = _text_of(place)
        if self.cases:
            cases.write(place, text, self.cases)
        write_text(place, text)
        if old is not None:
            cases.before(place).unlink(missing_ok=True)
            if old != text:
                cases.beside(place, old).unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Report:
        """Read report.json and the cases next to it.

        Raises:
            IntegrityError: if the file is not a report.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            values = json.loads(text)
            report = cls.from_dict(values)
            titles = {str(row.task): row.task for row in report.rows}
            old = values.get("format", 1) == 1

            def key(name: str) -> CaseKey:
                return case_key(name, titles.values(), report.attacks) if old else CaseKey.read(name, titles)

            return dataclasses.replace(report, cases=cases.read(Path(path), text, key))
        except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise IntegrityError(f"{os.fspath(path)!r} is not a report: {error}") from error

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Report:
        """Parse the result of `as_dict`.

        Raises:
            ValueError: for a report of an unknown format.
            KeyError: for missing entries.
            TypeError: for values of another type.
            AttributeError: if an entry is not a mapping.
        """
        return cls(**parsed(values))


def _text_of(path: Path) -> str | None:
    """Return the content of a text file, or None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
