"""The card of a model: `card.json`, stored next to `model.safetensors`, from which README.md is generated."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, get_args

from robustfeat.backbones.architecture import Architecture, Framing, Stem
from robustfeat.features.card.made import Fixture, ModelRef, Training
from robustfeat.features.parts import Weights
from robustfeat.features.recipe import Recipe
from robustfeat.report import DataFacts, Report
from robustfeat.runtime.errors import IntegrityError

# 4: reports are of format 2 (`robustfeat.report`). Without a number of its own an older version would call such a card damaged,
# instead of asking for a newer version.
# 3: the architecture has a framing; 2: it has none.
FORMAT, FRAMED, UNFRAMED = 4, 3, 2

# What the entries of a card are that say facts; one that says nothing is an empty object in the file.
FACTS: dict[str, type[DataFacts | ModelRef | Training | Fixture | Weights]] = {
    "data": DataFacts,
    "teacher": ModelRef,
    "start": ModelRef,
    "training": Training,
    "fixture": Fixture,
    "weights": Weights,
}


UNTRAINED = "It is untrained: its weights are random."
"""The limit that cards of untrained models and all reports on them contain."""


@dataclass(frozen=True, repr=False)
class Card:
    """The complete description of a model. Unknown entries are None; entries that do not apply are empty.

    Args:
        name: the name that `load` takes.
        architecture: the architecture of the network.
        feature_dim: the width of the features.
        head: the origin of the classifier: "trained" (with the backbone), "teacher" (the teacher's frozen head, on features
            that were drawn to the teacher's), "linear" (fitted on the frozen features of clean images), "adversarial" (fitted
            on those of attacked images) or "none".
        threat: the threat model of training, for example "linf 8/255"; "none" for a naturally trained model.
        objective: the training method.
        options: the hyper-parameters of the objective.
        recipe: the recipe of the run.
        data: the training data.
        teacher: the model that the student was distilled from.
        start: the model whose weights initialised the student.
        compatible_with: the digest (`FeatureExtractor.digest`) of the model in whose feature space the student was kept, so that
            its features may be searched in that model's indexes; None for a space of its own.
        training: the record of the training run.
        reports: the evaluations, each with its data, rows, attacks, flags and machine.
        limits: sentences of the publisher about the limits of the model.
        fixture: features of two synthetic images, by which a user can check that the model computes the same features.
        weights: the facts about model.safetensors or its parts, filled in on saving.
        classes: the class names, in order.
        licence: the licence of the weights.
        versions: the versions of the packages that wrote the model.
    """

    name: str
    architecture: Architecture
    feature_dim: int
    head: str = "none"
    threat: str = "none"
    objective: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    data: DataFacts | None = None
    teacher: ModelRef | None = None
    start: ModelRef | None = None
    compatible_with: str | None = None
    training: Training = field(default_factory=Training)
    reports: tuple[Report, ...] = ()
    limits: tuple[str, ...] = ()
    fixture: Fixture | None = None
    weights: Weights | None = None
    classes: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    versions: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return `Card('gacd-resnet18', resnet18, 512 features, 32x32, linf 8/255, gacd, 8 reports)`."""
        reports = f"{len(self.reports)} report{'s' * (len(self.reports) != 1)}"
        return (
            f"Card({', '.join(filter(None, [self.summary(f'{self.feature_dim} features'), self.objective, reports]))})"
        )

    def summary(self, width: str) -> str:
        """Summarise the model in one line.

        Args:
            width: a text for the number of features, for example "512 features".
        """
        side = self.architecture.image_size
        robust = [] if self.threat == "none" else [self.threat]
        return ", ".join([repr(self.name), self.architecture.name, width, f"{side}x{side}", *robust])

    @property
    def sha256(self) -> str | None:
        """The sha256 of the weights; None if it is unknown."""
        return None if self.weights is None else self.weights.sha256

    @property
    def flags(self) -> tuple[str, ...]:
        """The reasons why published numbers may be too favourable, one line each."""
        return tuple(doubt for report in self.reports for doubt in report.doubts())

    def to_json(self) -> str:
        """Return the text of card.json."""
        values = dataclasses.asdict(dataclasses.replace(self, reports=()))
        if self.architecture.framing is None:
            del values["architecture"]["framing"]
        if self.compatible_with is None:
            del values["compatible_with"]
        values["recipe"] = self.recipe.as_dict() if self.recipe else None
        for name in FACTS:
            facts = getattr(self, name)
            values[name] = {} if facts is None else facts.as_dict()
        values["reports"] = [report.as_dict() for report in self.reports]
        return json.dumps({"format": FORMAT} | values, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read the text of card.json.

        Raises:
            IntegrityError: for anything that is not a card of a supported format.
        """
        try:
            values = json.loads(text)
            version = values.pop("format")
            if version not in (FORMAT, FRAMED, UNFRAMED) or isinstance(version, bool):
                raise IntegrityError(
                    f"card format {version!r} is none of {UNFRAMED}, {FRAMED}, {FORMAT}; install the version of robustfeat that "
                    "wrote it"
                )
            architecture = values["architecture"]
            framed = "framing" in architecture
            if version != FORMAT and framed != (version == FRAMED):
                raise ValueError(f"a card of format {version} {'has' if framed else 'lacks'} a framing")
            if framed:
                architecture["framing"] = _framing(architecture["framing"])
            for name in ("mean", "std"):
                architecture[name] = tuple(map(float, architecture[name]))
            for name in ("classes", "image_size"):
                architecture[name] = int(architecture[name])
            if not isinstance(architecture["name"], str) or architecture["stem"] not in get_args(Stem):
                raise ValueError(f"architecture {architecture['name']!r} with stem {architecture['stem']!r}")
            values.setdefault("start", {})  # not in cards of 2026-11 and before
            if not isinstance(values.get("compatible_with", ""), str):
                raise ValueError(f"compatible_with {values['compatible_with']!r} is no digest")
            for name in ("options", "versions"):
                values[name] = dict(values[name])
            for name, kind in FACTS.items():
                facts = dict(values[name])
                values[name] = kind.from_dict(facts) if facts or kind is Training else None
            values["architecture"] = Architecture(**architecture)
            values["recipe"] = Recipe.from_dict(values["recipe"]) if values["recipe"] else None
            values["reports"] = tuple(Report.from_dict(report) for report in values["reports"])
            for name in ("classes", "limits"):
                values[name] = tuple(map(str, values[name]))
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise IntegrityError(f"card.json is not a valid card ({error}); fetch the model again") from error

    def readme(self) -> str:
        """Return README.md of the model folder, which is entirely generated."""
        from robustfeat.features.card.page import page  # which needs to know what a card is

        return page(self)


def _framing(values: dict[str, Any]) -> Framing:
    red, green, blue = map(int, values["fill"])
    return Framing(**values | {"crop_pct": float(values["crop_pct"]), "fill": (red, green, blue)})
