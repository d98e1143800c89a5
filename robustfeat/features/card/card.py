"""`card.json`, written beside `model.safetensors`, and a README from it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, get_args

from robustfeat.backbones.architecture import Architecture, Framing, Stem
from robustfeat.features.recipe import Recipe
from robustfeat.report import Report
from robustfeat.runtime.errors import IntegrityError

# 2: the results are whole reports, one per evaluation; 1 had the rows of a single one. Without a number of its own an older
# version would call such a card damaged, instead of asking for a newer version.
# 3: the architecture has a framing; cards without one stay of format 2, which older versions read.
FORMAT, FRAMED = 2, 3


@dataclass(frozen=True, repr=False)
class Card:
    """Everything there is to know about a model; what is unknown is None, what does not apply is empty.

    name: how it is loaded.  architecture: how it is built.  feature_dim: width of its features.
    head: where the classifier comes from: "trained" (with the backbone), "teacher" (the teacher's frozen one, on features that
        were drawn to the teacher's), "linear" (fitted on its frozen features of clean images), "adversarial" (on those of
        attacked images) or "none".
    threat: what it was trained to withstand, for example "linf 8/255"; "none" for a naturally trained model.
    objective, options: the method and its hyper-parameters.  recipe: of the run.  data: its fingerprint and split.
    teacher, start: name and sha256 of the teacher's weights, and of those that the student started from.
    training: step of the best weights and what they did on held-out images; minutes, steps, epochs and environment of the run.
    reports: what was measured, each report with its data, rows, attacks, flags and machine.
    limits: sentences of the publisher about what the model is not good for.
    fixture: features of two synthetic images, by which anyone can see that the same come out (`robustfeat.publishing.fixture`).
    weights: "sha256", "bytes" and "dtype" of model.safetensors or its parts (`robustfeat.features.parts`), filled in on saving.
    classes: their names, in order.
    """

    name: str
    architecture: Architecture
    feature_dim: int
    head: str = "none"
    threat: str = "none"
    objective: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    data: dict[str, Any] = field(default_factory=dict)
    teacher: dict[str, Any] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()
    limits: tuple[str, ...] = ()
    fixture: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    versions: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """`Card('gacd-resnet18', resnet18, 512 features, 32x32, linf 8/255, gacd, 8 reports)`."""
        reports = f"{len(self.reports)} report{'s' * (len(self.reports) != 1)}"
        return (
            f"Card({', '.join(filter(None, [self.summary(f'{self.feature_dim} features'), self.objective, reports]))})"
        )

    def summary(self, width: str) -> str:
        """What a model is, in a line; `width` says of its features how many there are."""
        side = self.architecture.image_size
        robust = [] if self.threat == "none" else [self.threat]
        return ", ".join([repr(self.name), self.architecture.name, width, f"{side}x{side}", *robust])

    @property
    def flags(self) -> tuple[str, ...]:
        """Why published numbers may flatter, one line each."""
        return tuple(doubt for report in self.reports for doubt in report.doubts())

    def to_json(self) -> str:
        """The text of card.json."""
        values = dataclasses.asdict(dataclasses.replace(self, reports=()))
        if self.architecture.framing is None:
            del values["architecture"]["framing"]
        values["recipe"] = self.recipe.as_dict() if self.recipe else None
        values["reports"] = [report.as_dict() for report in self.reports]
        version = FORMAT if self.architecture.framing is None else FRAMED
        return json.dumps({"format": version} | values, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read card.json. Raises IntegrityError for anything that is not a card of a format known here."""
        try:
            values = json.loads(text)
            version = values.pop("format")
            if version not in (1, FORMAT, FRAMED) or isinstance(version, bool):
                raise IntegrityError(
                    f"card format {version!r} is neither {FORMAT} nor {FRAMED}; install the version of robustfeat that wrote it"
                )
            if version == 1:
                values = _of_the_first_format(values)
            architecture = values["architecture"]
            if (version == FRAMED) != ("framing" in architecture):
                raise ValueError(f"a card of format {version} {'lacks' if version == FRAMED else 'has'} a framing")
            if version == FRAMED:
                architecture["framing"] = _framing(architecture["framing"])
            for name in ("mean", "std"):
                architecture[name] = tuple(map(float, architecture[name]))
            for name in ("classes", "image_size"):
                architecture[name] = int(architecture[name])
            if not isinstance(architecture["name"], str) or architecture["stem"] not in get_args(Stem):
                raise ValueError(f"architecture {architecture['name']!r} with stem {architecture['stem']!r}")
            values.setdefault("start", {})  # not in cards of 2026-11 and before
            for name in ("options", "data", "teacher", "start", "training", "fixture", "weights", "versions"):
                values[name] = dict(values[name])
            values["architecture"] = Architecture(**architecture)
            values["recipe"] = Recipe.from_dict(values["recipe"]) if values["recipe"] else None
            values["reports"] = tuple(Report.from_dict(report) for report in values["reports"])
            for name in ("classes", "limits"):
                values[name] = tuple(map(str, values[name]))
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise IntegrityError(f"card.json is not a valid card ({error}); fetch the model again") from error

    def readme(self) -> str:
        """README.md of the model folder, generated: nothing in it is written by hand."""
        from robustfeat.features.card.page import page  # which needs to know what a card is

        return page(self)


def _framing(values: dict[str, Any]) -> Framing:
    red, green, blue = map(int, values["fill"])
    return Framing(**values | {"crop_pct": float(values["crop_pct"]), "fill": (red, green, blue)})


def _of_the_first_format(values: dict[str, Any]) -> dict[str, Any]:
    """A card of format 1 as one of today: its rows become a report, its flags stay as sentences."""
    taken = {"results", "measured", "attacks", "flags"}
    report = {
        "model": values["name"],
        "data": {kind: _counted(text) for kind, text in values.get("measured", {}).items()},
        "threat": values["threat"],
        "rows": values["results"],
        "attacks": values.get("attacks", {}),
    }
    return {name: value for name, value in values.items() if name not in taken} | {
        "reports": [report] if values["results"] else [],
        "limits": [f"Flagged: {flag}" for flag in values.get("flags", ())],
        "fixture": {},
    }


def _counted(text: str) -> dict[str, Any]:
    """What format 1 wrote as "1000 images of cifar10"."""
    images, _, name = text.partition(" images of ")
    return {"name": name, "images": int(images)}
