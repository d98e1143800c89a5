"""The result of an evaluation, and how it is written."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from robustfeat.attacks.flag import Flag
from robustfeat.report import cases
from robustfeat.report.row import Row
from robustfeat.report.shown import Shown
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import write_text

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ran:
    """What one attack on one task did: its configuration, what it took, and the signs that it may have failed.

    metric: which one it aimed at; "" is all of the task.  forwards, backwards: images through the model.
    zero_gradients: largest share of zero gradients in a step.  rising: share of the gain in the last quarter of the steps.
    examined: cases that were checked for such signs.
    """

    task: str
    metric: str
    attack: str
    configuration: str
    forwards: int
    backwards: int
    zero_gradients: float
    rising: float
    seconds: float
    flags: tuple[Flag, ...] = ()
    examined: int = 0


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """Measured rows of one model, with exactly what ran.

    weights: sha256 of the weights that were measured (`FeatureExtractor.digest`).
    attacks: name in the rows -> its configuration.  threat: what the attacker may do.  runs: one per task and attack.
    environment: versions and machine.  command: the arguments of `robustfeat evaluate`, where that made it.
    setup: of these, what the numbers depend on (`robustfeat.evaluation.Evaluation`): enough to measure them again elsewhere.
    features: what an attack on the features themselves does to them (`evaluation.description`), where that was asked for.
    cases: "task/attack/metric" -> a value per case, "task/rows" and "task/targets" -> which image and target each has: what
        two models are compared by. Written beside the report, as *.cases.safetensors.
    """

    model: str
    data: dict[str, Any]
    threat: str
    rows: tuple[Row, ...]
    attacks: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    command: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    runs: tuple[Ran, ...] = ()
    features: dict[str, float] = field(default_factory=dict)
    cases: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)
    setup: dict[str, Any] = field(default_factory=dict)

    @property
    def measured_on(self) -> str:
        """The name of the data set that was measured."""
        return str(self.data.get("test", {}).get("name", "unknown data"))

    @property
    def flagged(self) -> tuple[Ran, ...]:
        """The runs with a sign that the attack failed: their numbers flatter the model."""
        return tuple(ran for ran in self.runs if ran.flags)

    def warnings(self) -> tuple[str, ...]:
        """The test images that were learnt from, and the flags, one line each."""
        test = self.data.get("test", {})
        known = test.get("in train", 0)
        shared = f"{known} of the {test.get('images')} test images are among the training images, pixel by pixel"
        return (shared,) * (known > 0) + tuple(
            f"{ran.task} {ran.metric}".rstrip() + f" under {ran.attack}: {flag.check}: {flag.value:.3g} {flag.text}"
            for ran in self.flagged
            for flag in ran.flags
        )

    def doubts(self) -> tuple[str, ...]:
        """Why numbers may flatter, one line each: the flags, and the attacks that were not looked at for flags."""
        ran = {(ran.task, ran.attack) for ran in self.runs}
        blind = [(f"{ran.task} {ran.metric}".rstrip(), ran.attack) for ran in self.runs if ran.examined == 0]
        for row in self.rows:
            attack, _ = self.attack_of(row)
            if attack != "none" and (row.task, attack) not in ran:
                blind.append((f"{row.task} {row.metric}", row.attack))
        unchecked = [f"{what} under {attack}: not checked for masked gradients" for what, attack in blind]
        return self.warnings() + tuple(unchecked)

    def attack_of(self, row: Row) -> tuple[str, str]:
        """The attack behind a row, and the column of cases that it was allowed: ("pgd", "normal") of "pgd/normal"."""
        names = [name for name in self.attacks if row.attack == name or row.attack.startswith(f"{name}/")]
        name = max(names, key=len, default=row.attack)
        return name, row.attack[len(name) + 1 :]

    def value(self, task: str, metric: str, attack: str = "none") -> float:
        """One number of the report; KeyError where it was not measured."""
        for row in self.rows:
            if (row.task, row.metric, row.attack) == (task, metric, attack):
                return row.value
        raise KeyError(f"the report has no {metric!r} of task {task!r} under {attack!r}")

    def to_json(self) -> str:
        """The text of report.json."""
        return json.dumps(self.as_dict(), indent=2) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """JSON values; without the cases."""
        return dataclasses.asdict(dataclasses.replace(self, cases={}), dict_factory=_without_cases)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write report.json atomically, and the cases beside it; those of the report that was there go."""
        place, text = Path(path), self.to_json()
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
        """Read report.json."""
        try:
            text = Path(path).read_text(encoding="utf-8")
            report = cls.from_dict(json.loads(text))
            return dataclasses.replace(report, cases=cases.read(Path(path), text))
        except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise IntegrityError(f"{os.fspath(path)!r} is not a report: {error}") from error

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Report:
        """The inverse of `as_dict`. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
        parsed = {
            name: dict(values.get(name, {})) for name in ("attacks", "environment", "command", "setup", "features")
        }
        parsed["data"] = {kind: dict(facts) for kind, facts in values["data"].items()}
        runs = [ran | {"flags": tuple(Flag(**flag) for flag in ran["flags"])} for ran in values.get("runs", [])]
        rows = tuple(_row(row) for row in values["rows"])
        return cls(**values | parsed | {"rows": rows, "runs": tuple(Ran(**ran) for ran in runs)})


def _row(values: dict[str, Any]) -> Row:
    row = Row(**values)
    if not all(isinstance(number, int | float) for number in (row.value, row.low, row.high, row.n)):
        raise TypeError(f"a row holds {values}, which are no numbers")
    return row


def _text_of(path: Path) -> str | None:
    """What a file holds, None where there is none that is text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _without_cases(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if key != "cases"}


def _columns(reports: Sequence[Report]) -> list[list[str]]:
    """Header and one line per task, metric and attack, models side by side."""
    header = ["task", "metric", "attack", *[report.model for report in reports], "n"]
    lines = [header]
    keys = dict.fromkeys((row.task, row.metric, row.attack) for report in reports for row in report.rows)
    for key in keys:
        cells, n = [], 0
        for report in reports:
            row = next((r for r in report.rows if (r.task, r.metric, r.attack) == key), None)
            cells.append("" if row is None else f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]")
            n = row.n if row else n
        lines.append([*key, *cells, str(n)])
    return lines


def table(*reports: Report) -> str:
    """Reports side by side for a terminal; 95 % intervals in brackets."""
    return "\n".join([aligned(_columns(reports)), "", *_footnotes(reports)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """A header and rows of cells in columns, for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = "  ".join("-" * width for width in widths)
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], rule, *text[1:]])


def markdown(*reports: Report, title: str = "Report") -> str:
    """Reports side by side as Markdown."""
    head, *body = _columns(reports)
    lines = [f"# {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(line) + " |" for line in body]
    lines += ["", "Values are fractions with 95 % intervals; larger is better for the defender.", ""]
    return "\n".join(lines + [f"- {note}" for note in _footnotes(reports)]) + "\n"


def _footnotes(reports: Sequence[Report]) -> list[str]:
    """What ran, on what."""
    notes = []
    for name, configuration in dict.fromkeys(item for report in reports for item in report.attacks.items()):
        notes.append(f"attack {name}: {configuration}")
    # A budget names what it stands for: several tasks may have been attacked differently under one name.
    planned = {
        f"attack {ran.attack} on {ran.task}: {ran.configuration}"
        for report in reports
        for ran in report.runs
        if ran.configuration != report.attacks.get(ran.attack)
    }
    notes += sorted(planned)
    for report in reports:
        if report.runs:
            passes = sum(ran.forwards for ran in report.runs), sum(ran.backwards for ran in report.runs)
            seconds = sum(ran.seconds for ran in report.runs)
            notes.append(
                f"{report.model}: {passes[0]:,} images forward, {passes[1]:,} back, {seconds:.0f} s under attack"
            )
        if report.features:
            numbers = ", ".join(f"{name} {value:.3f}" for name, value in report.features.items())
            notes.append(f"{report.model}, features under an attack on themselves: {numbers}")
        notes += [f"! {report.model}, {warning}" for warning in report.warnings()]
    for kind in ("train", "test"):
        described = {f"{r.data[kind]['images']} images of {r.data[kind]['name']}" for r in reports if kind in r.data}
        notes += [f"{kind}: {text}" for text in sorted(described)]
        said = {r.data[kind]["note"] for r in reports if "note" in r.data.get(kind, {})}
        notes += [f"! {kind}: {text}" for text in sorted(said)]
    return notes
